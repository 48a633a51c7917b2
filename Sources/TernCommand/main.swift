internal import Reactor

// Termination signals are held before any other thread exists, so that all inherit it; one thread waits for them.
WorkerThread.holdTerminationSignals()
await TernCommand.main()
