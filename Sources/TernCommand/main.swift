// The program's start. Termination signals are held before any other thread exists, so that all inherit it; one thread waits for them.

internal import ArgumentParser
internal import Reactor

WorkerThread.holdTerminationSignals()
await TernCommand.main(nil)
