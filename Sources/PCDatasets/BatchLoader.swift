#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Makes the batches of a pass ahead on a thread of its own while the ones before are learned from: the same batches, bit
/// for bit, as the sequence makes itself.
///
/// Asked for batch i, it gives that, and goes on with i + 1, i + 2, …; at most `ahead` batches wait. Asked for another than
/// the next, it starts again from there: threads that ask at the same time get what they ask for, and wait longer.
public final class BatchLoader: Sendable {
  /// The number of batches.
  public let count: Int
  private let queue: Queue

  /// A loader that keeps up to `ahead` batches ready. The thread starts at the first batch asked for.
  public init(_ batches: BatchSequence, ahead: Int = 2) {
    guard ahead > 0 else { fatalError("BatchLoader: at least one batch has to be made ahead, not \(ahead).") }
    count = batches.count
    queue = Queue(batches, ahead: ahead)
  }

  deinit { queue.stop() }

  /// Batch `index`; waits until it is made.
  public func batch(_ index: Int) -> Batch {
    guard 0..<count ~= index else { fatalError("BatchLoader: there is no batch \(index) among \(count).") }
    return queue.take(index)
  }
}

/// What the loader shares with its thread, which keeps it alive until it ends. All but the constants is read and written
/// under the lock.
private final class Queue: @unchecked Sendable {
  private let batches: BatchSequence
  private let ahead: Int
  // The system keeps their addresses.
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var thread: pthread_t?
  private var isStopped = false
  /// The batches that wait, which are those from `first` on.
  private var ready: [Batch] = []
  private var first = 0

  init(_ batches: BatchSequence, ahead: Int) {
    self.batches = batches
    self.ahead = ahead
    pthread_mutex_init(lock, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(lock)
    changed.deallocate()
    lock.deallocate()
  }

  func take(_ index: Int) -> Batch {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    // Where the system has no more threads, the batch is made here.
    guard start() else { return batches[index] }
    while true {
      // Another thread may have asked for another batch meanwhile.
      if index != first {
        ready = []
        first = index
        pthread_cond_broadcast(changed)
      }
      if !ready.isEmpty { break }
      pthread_cond_wait(changed, lock)
    }
    first += 1
    pthread_cond_broadcast(changed)
    return ready.removeFirst()
  }

  /// Ends the thread, and waits until it has.
  func stop() {
    pthread_mutex_lock(lock)
    isStopped = true
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(lock)
    if let thread { pthread_join(thread, nil) }
  }

  private func start() -> Bool {
    guard thread == nil else { return true }
    let own = Unmanaged.passRetained(self)
    #if canImport(Darwin)
      var started: pthread_t?
      let status = pthread_create(&started, nil, { Queue.enter($0) }, own.toOpaque())
    #else
      var started = pthread_t()
      let status = pthread_create(&started, nil, { $0.flatMap { Queue.enter($0) } }, own.toOpaque())
    #endif
    guard status == 0 else {
      own.release()
      return false
    }
    thread = started
    return true
  }

  private static func enter(_ own: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    Unmanaged<Queue>.fromOpaque(own).takeRetainedValue().run()
    return nil
  }

  private func run() {
    pthread_mutex_lock(lock)
    while !isStopped {
      let next = first + ready.count
      guard ready.count < ahead, next < batches.count else {
        pthread_cond_wait(changed, lock)
        continue
      }
      pthread_mutex_unlock(lock)
      let batch = batches[next]
      pthread_mutex_lock(lock)
      // Meanwhile another one may have been asked for.
      guard first + ready.count == next else { continue }
      ready.append(batch)
      pthread_cond_broadcast(changed)
    }
    pthread_mutex_unlock(lock)
  }
}
