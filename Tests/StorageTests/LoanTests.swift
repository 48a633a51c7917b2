import Glibc
import Storage
import Synchronization
import TestSupport
import Testing

@Suite struct LoanTests {
  /// What tells two accesses at the same time: both numbers are the same whenever nobody is at it.
  private struct Account: ~Copyable {
    var one = 0
    var other = 0
    var borrowed = 0

    mutating func add() -> Bool {
      one += 1
      for _ in 0..<20 where one != other + 1 { return false }
      other += 1
      return one == other
    }
  }

  @Test func nothingIsBorrowedOfAnOwnerThatIsAwake() {
    let loan = Loan<Account>()
    #expect(!loan.borrow { _ in true })
    loan.put(Account())
    #expect(!loan.borrow { _ in true })
    loan.lend()
    #expect(loan.borrow { $0.add() })
    // It says what `body` says.
    #expect(!loan.borrow { _ in false })
    // Nobody borrows what is borrowed.
    #expect(loan.borrow { _ in !loan.borrow { _ in true } })
    loan.takeBack()
    #expect(!loan.borrow { _ in true })
    #expect(loan.own.value.one == 1)
    loan.own.value.one = 7
    var one: Int?
    if let account = loan.remove() { one = account.one }
    #expect(one == 7)
    let isEmpty = loan.remove() == nil
    #expect(isEmpty)
  }

  @Test func aValueIsDestroyedOnce() {
    final class Count: Sendable {
      let ended = Atomic<Int>(0)
    }
    struct Ending: ~Copyable {
      let count: Count
      deinit { count.ended.wrappingAdd(1, ordering: .relaxed) }
    }
    let count = Count()
    do {
      let loan = Loan<Ending>()
      loan.put(Ending(count: count))
      loan.lend()
      loan.takeBack()
    }
    #expect(count.ended.load(ordering: .relaxed) == 1)
    do {
      let loan = Loan<Ending>()
      loan.put(Ending(count: count))
      _ = loan.remove()
      loan.put(Ending(count: count))
    }
    #expect(count.ended.load(ordering: .relaxed) == 3)
  }

  private final class Counts: Sendable {
    let isOver = Atomic<Bool>(false)
    let wasWrong = Atomic<Int>(0)
    let borrowed = Atomic<Int>(0)
  }

  /// An owner that sleeps and wakes, and two that borrow.
  @Test func oneThreadAtATimeHasIt() {
    let loan = Loan<Account>()
    let counts = Counts()
    loan.put(Account())
    let borrowers = (0..<2).map { _ in
      Thread {
        while !counts.isOver.load(ordering: .relaxed) {
          let isDone = loan.borrow { account in
            if !account.add() { counts.wasWrong.wrappingAdd(1, ordering: .relaxed) }
            account.borrowed += 1
            return true
          }
          if isDone { counts.borrowed.wrappingAdd(1, ordering: .relaxed) }
        }
      }
    }
    // Until the others have had it often, however the processors are dealt out.
    var round = 0
    while round < 20_000 || counts.borrowed.load(ordering: .relaxed) < 2000 {
      if !loan.own.value.add() { counts.wasWrong.wrappingAdd(1, ordering: .relaxed) }
      round += 1
      loan.lend()
      if round % 64 == 0 { sched_yield() }
      loan.takeBack()
    }
    counts.isOver.store(true, ordering: .relaxed)
    for borrower in borrowers { borrower.join() }
    #expect(counts.wasWrong.load(ordering: .relaxed) == 0)
    #expect(loan.own.value.borrowed == counts.borrowed.load(ordering: .relaxed))
    #expect(loan.own.value.one == loan.own.value.other)
  }
}
