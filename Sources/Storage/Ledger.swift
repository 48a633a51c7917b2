// Pages of figures, one of which lies open: a worker's statistics, a page for each shard.
//
// Whoever counts writes to the open page, through one pointer: as cheap as a field, and no shard's figures are mixed with another's.
// Which page is open changes when the worker turns to another client, not from command to command.
//
// The pages are made with their worker, and with shards that come later, from Swift's own allocations: like arrays, they cannot be refused.

/// Some pages, one of them open.
@safe public struct Ledger<Page>: ~Copyable {
  @usableFromInline var pages: UnsafeMutablePointer<Page>
  @usableFromInline var open: UnsafeMutablePointer<Page>
  /// How many pages there are.
  public private(set) var count: Int

  /// So many equal pages, at least one; the first is open.
  public init(count: Int, _ page: Page) {
    precondition(count > 0)
    pages = UnsafeMutablePointer.allocate(capacity: count)
    pages.initialize(repeating: page, count: count)
    open = pages
    self.count = count
  }

  deinit {
    pages.deinitialize(count: count)
    pages.deallocate()
  }

  /// Adds equal pages until there are so many; the same page is open. O(pages).
  public mutating func grow(to newCount: Int, _ page: Page) {
    guard newCount > count else { return }
    let place = openPage
    let grown = UnsafeMutablePointer<Page>.allocate(capacity: newCount)
    grown.moveInitialize(from: pages, count: count)
    (grown + count).initialize(repeating: page, count: newCount - count)
    pages.deallocate()
    pages = grown
    count = newCount
    open = pages + place
  }

  /// Opens a page.
  @inlinable @inline(__always)
  public mutating func turn(to page: Int) {
    precondition(page >= 0 && page < count, "no such page")
    open = pages + page
  }

  /// The number of the open page.
  public var openPage: Int { open - pages }

  /// The open page.
  @inlinable
  public var page: Page {
    @inline(__always)
    unsafeAddress { UnsafePointer(open) }
    @inline(__always)
    unsafeMutableAddress { open }
  }

  /// The page of that number, open or not.
  @inlinable
  public subscript(index: Int) -> Page {
    unsafeAddress {
      precondition(index >= 0 && index < count, "no such page")
      return UnsafePointer(pages + index)
    }
    unsafeMutableAddress {
      precondition(index >= 0 && index < count, "no such page")
      return pages + index
    }
  }
}

extension Ledger: @unchecked Sendable where Page: Sendable {
  // Sendable: it is the only owner of its pages.
}
