import PCInterchange
import PredictiveCoding
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A run that stops and goes on from a file must end as one that never stopped, bit for bit.
@Suite struct CheckpointTests {
  /// Dropout, state carried from batch to batch, an optimiser with state, a constant: everything that a run keeps.
  static func model(width: Int = 4) -> Model {
    Model(length: 3) { graph, length in
      let x = graph.input("x", [.batch, .fixed(length), 2])
      let label = graph.labels("label", classes: 3, shape: [.batch, .fixed(length)])
      let outputs = dropout(LSTM("lstm", width)(x, isCarried: true).stacked(), rate: 0.3)
      graph.loss(.crossEntropy(Dense("readout", 3)(outputs), label))
    }
  }

  static let feeds = FeedSequence(count: 7) { index in
    var feed = Feed(
      count: 5,
      [
        "x": .doubles(Fixture.numbers([5, 3, 2], stream: 20 + index, scale: 1)),
        "label": .integers((0..<15).map { Int32(($0 * 7 + index) % 3) }),
      ])
    feed.continuesStream = index > 0
    return feed
  }

  static func trainer(
    _ optimizer: any Optimizer = Adam(learningRate: 0.01), on backend: any Backend, seed: UInt64 = 3, width: Int = 4,
    rule: any Rule = FixedPredictions(steps: 5, rate: 0.5, order: .timeReversed)
  ) throws -> Trainer {
    try Trainer(model(width: width), rule: rule, optimizer: optimizer, on: backend, seed: seed)
  }

  static func temporaryPath() -> String {
    "/tmp/pc-checkpoint-\(getpid())-\(UInt32.random(in: 0 ... .max)).safetensors"
  }

  @Test(arguments: ["cpu", "reference"]) func resumedRunEndsInTheSameBits(_ name: String) throws {
    let backend: any Backend = name == "cpu" ? try CPU(threads: 2) : Reference()
    let optimizers: [any Optimizer] = [
      Adam(learningRate: 0.01), SGD(learningRate: 0.05, momentum: 0.9), SGD(learningRate: 0.05),
    ]
    for optimizer in optimizers {
      let whole = try Self.trainer(optimizer, on: backend)
      for epoch in 1...2 { try whole.trainEpoch(epoch, on: Self.feeds) }

      // Stopped after each number of batches, in the middle of a pass and between two.
      for stop in [1, 3, 7, 9, 13] {
        let path = Self.temporaryPath()
        defer { unlink(path) }
        let first = try Self.trainer(optimizer, on: backend)
        for epoch in 1...2 where first.updateCount < stop {
          try first.trainEpoch(epoch, on: Self.feeds, maximalUpdates: stop - first.updateCount)
        }
        try first.checkpoint(notes: "stopped after \(stop)").write(to: path)

        let second = try Self.trainer(optimizer, on: backend)
        let checkpoint = try Checkpoint(path: path)
        #expect(checkpoint.state.notes == "stopped after \(stop)")
        try second.restore(checkpoint)
        #expect(second.updateCount == stop)
        var last = second.pass
        let isComplete = second.pass.batches == Self.feeds.count
        for epoch in (second.pass.epoch + (isComplete ? 1 : 0))..<3 {
          last = try second.trainEpoch(epoch, on: Self.feeds)
        }
        #expect(second.updateCount == 14)
        for (parameter, value) in whole.network.parameters() {
          #expect(
            second.network.parameter(parameter).values == value.values,
            "\(optimizer.name) stopped after \(stop): \(parameter) differs")
        }
        #expect(last.totalLoss == whole.pass.totalLoss, "\(optimizer.name) stopped after \(stop): loss of the pass")
        #expect(last.examples == 35 && last.correct == whole.pass.correct)
      }
    }
  }

  @Test func differencesAreListedAndNothingChanges() throws {
    let checkpoint = try Self.trainer(on: Reference()).checkpoint()
    let other = try Self.trainer(SGD(learningRate: 0.1, momentum: 0.5), on: Reference(), seed: 4, width: 5)
    let before = other.network.parameters()
    let error = try #require(throws: CheckpointError.self) { try other.restore(checkpoint) }
    for text in [
      "seed 3 there, 4 here", "optimizer adam there, sgd with momentum here",
      "parameter/lstm.recurrent has shape [4, 16] there, [5, 20] here",
      "optimizer/sgd with momentum:readout.weight:velocity is missing",
    ] {
      #expect(error.description.contains(text), "\(error)")
    }
    #expect(other.network.parameters() == before)
    let rule = try Self.trainer(on: Reference(), rule: Backprop())
    let second = try #require(throws: CheckpointError.self) { try rule.restore(checkpoint) }
    #expect(second.description.contains("rule"), "\(second)")
  }

  @Test func parametersAloneFitAnyRule() throws {
    let trainer = try Self.trainer(on: Reference())
    try trainer.trainEpoch(1, on: Self.feeds)
    let network = try Network(Self.model(), on: Reference(), seed: 99)
    try network.restoreParameters(of: trainer.checkpoint())
    #expect(network.parameters() == trainer.network.parameters())
    let narrow = try Network(Self.model(width: 3), on: Reference(), seed: 99)
    #expect(throws: CheckpointError.self) { try narrow.restoreParameters(of: trainer.checkpoint()) }
  }

  /// Every byte changed, every length cut: an error, never a run that goes on from wrong numbers.
  @Test func damagedFilesAreRefused() throws {
    let path = Self.temporaryPath()
    defer { unlink(path) }
    try Self.trainer(on: CPU(threads: 1), width: 1).checkpoint(notes: "n").write(to: path)
    let bytes = try readFile(path)
    func write(_ bytes: [UInt8]) throws { try writeFile(bytes, to: path) }
    for place in stride(from: 0, to: bytes.count, by: 7) {
      var damaged = bytes
      damaged[place] ^= 0x11
      try write(damaged)
      #expect(throws: (any Error).self, "byte \(place)") { try Checkpoint(path: path) }
      try write(Array(bytes[..<place]))
      #expect(throws: (any Error).self, "cut to \(place) bytes") { try Checkpoint(path: path) }
    }
    let header = String(decoding: bytes, as: UTF8.self)
    #expect(header.contains(#"\"format\":1"#))
    try Safetensors([], metadata: ["state": #"{"format":2}"#, "sha256": ""]).write(to: path)
    let newer = try #require(throws: CheckpointError.self) { try Checkpoint(path: path) }
    #expect(newer.description.contains("format 2"), "\(newer)")
    try Safetensors([]).write(to: path)
    #expect(throws: CheckpointError.self) { try Checkpoint(path: path) }
  }
}
