import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// A convolution written down independently: the image is padded first, then every window is cut out and multiplied.
private func direct(_ c: Convolution, image: [Double], filter: [Double]) -> [Double] {
  let rows = c.input.rows + 2 * c.padding.rows
  let columns = c.input.columns + 2 * c.padding.columns
  var padded = Array(repeating: 0.0, count: c.inputChannels * rows * columns)
  for channel in 0..<c.inputChannels {
    for y in 0..<c.input.rows {
      for x in 0..<c.input.columns {
        padded[(channel * rows + y + c.padding.rows) * columns + x + c.padding.columns] =
          image[(channel * c.input.rows + y) * c.input.columns + x]
      }
    }
  }
  let inputs = c.inputChannels / c.groups
  let outputs = c.outputChannels / c.groups
  var result: [Double] = []
  for o in 0..<c.outputChannels {
    var top = 0
    while top + c.dilation.rows * (c.kernel.rows - 1) < rows {
      var left = 0
      while left + c.dilation.columns * (c.kernel.columns - 1) < columns {
        var sum = 0.0
        for k in 0..<inputs {
          for i in 0..<c.kernel.rows {
            for j in 0..<c.kernel.columns {
              let channel = o / outputs * inputs + k
              let at = (channel * rows + top + i * c.dilation.rows) * columns + left + j * c.dilation.columns
              sum += padded[at] * filter[((o * inputs + k) * c.kernel.rows + i) * c.kernel.columns + j]
            }
          }
        }
        result.append(sum)
        left += c.stride.columns
      }
      top += c.stride.rows
    }
  }
  return result
}

private func dense(_ buffer: Int, _ extents: [Int]) -> View {
  var step = extents.reduce(1, *)
  let strides = extents.map { extent in
    step /= extent
    return step
  }
  return View(buffer: buffer, strides: strides)
}

@Suite struct ConvolutionTests {
  static let geometries = [
    Convolution(inputChannels: 3, outputChannels: 6, input: Extent(32, 32), kernel: Extent(5, 5)),
    Convolution(inputChannels: 6, outputChannels: 16, input: Extent(14, 14), kernel: Extent(5, 5)),
    Convolution(
      inputChannels: 5, outputChannels: 7, input: Extent(9, 6), kernel: Extent(3, 3), padding: Extent(1, 1)),
    Convolution(
      inputChannels: 4, outputChannels: 8, input: Extent(11, 8), kernel: Extent(3, 2), stride: Extent(2, 3),
      padding: Extent(1, 0)),
    Convolution(
      inputChannels: 2, outputChannels: 3, input: Extent(10, 12), kernel: Extent(3, 3), stride: Extent(2, 2),
      padding: Extent(2, 1), dilation: Extent(2, 3)),
    Convolution(
      inputChannels: 6, outputChannels: 9, input: Extent(7, 7), kernel: Extent(3, 3), padding: Extent(1, 1), groups: 3
    ),
    Convolution(inputChannels: 8, outputChannels: 5, input: Extent(6, 5), kernel: Extent(1, 1)),
    // Large enough for its channels to be gathered.
    Convolution(
      inputChannels: 16, outputChannels: 16, input: Extent(17, 13), kernel: Extent(3, 3), padding: Extent(1, 1)),
    Convolution(
      inputChannels: 36, outputChannels: 40, input: Extent(6, 5), kernel: Extent(3, 3), stride: Extent(2, 1),
      padding: Extent(1, 1)),
    Convolution(
      inputChannels: 1, outputChannels: 4, input: Extent(2, 2), kernel: Extent(3, 3), padding: Extent(2, 2)),
  ]

  private func backends() throws -> [any Backend] {
    try [Reference()]
      + supportedSets.map { try CPU(threads: 2, instructionSet: $0, leastShared: 0, prefersMatrixUnit: true) }
  }

  /// ⟨m, conv(x, w)⟩ is linear in x and in w, so its two gradients are read off at unit vectors: against random ones
  /// ⟨gradient, direction⟩ = ⟨m, conv(direction)⟩.
  @Test(arguments: geometries)
  func agreesWithTheDefinition(c: Convolution) throws {
    for batch in [1, 9, 33] {
      for backend in try backends() {
        var dice = Dice(seed: UInt64(batch))
        let imageCount = c.imageExtents.reduce(1, *)
        let filterCount = c.filterExtents.reduce(1, *)
        let messageCount = c.messageExtents.reduce(1, *)
        var experiment = Experiment(batch: batch)
        let images = dice.reals(imageCount * batch)
        let filters = dice.reals(filterCount)
        let messages = dice.reals(messageCount * batch)
        let image = experiment.buffer("image", count: imageCount, batched: true, contents: images)
        let filter = experiment.buffer("filter", count: filterCount, batched: false, contents: filters)
        let message = experiment.buffer("message", count: messageCount, batched: true, contents: messages)
        func empty(_ count: Int, batched: Bool) -> Int {
          experiment.buffer(
            "result", count: count, batched: batched,
            contents: Array(repeating: .nan, count: count * (batched ? batch : 1)))
        }
        let output = empty(messageCount, batched: true)
        let imageGradient = empty(imageCount, batched: true)
        let filterGradient = empty(filterCount, batched: false)
        let (imageView, filterView) = (dense(image, c.imageExtents), dense(filter, c.filterExtents))
        let messageView = dense(message, c.messageExtents)
        experiment.append(
          Instruction(
            .convolve(c), operands: [imageView, filterView], results: [dense(output, c.messageExtents)]))
        experiment.append(
          Instruction(
            .convolveInputGradient(c), operands: [messageView, filterView],
            results: [dense(imageGradient, c.imageExtents)]))
        experiment.append(
          Instruction(
            .convolveFilterGradient(c), operands: [imageView, messageView],
            results: [dense(filterGradient, c.filterExtents)]))
        var scaled = c
        scaled.isScaled = true
        let factors = dice.reals(messageCount * batch)
        let factor = experiment.buffer("factor", count: messageCount, batched: true, contents: factors)
        let scaledOutput = empty(messageCount, batched: true)
        experiment.append(
          Instruction(
            .convolve(scaled), operands: [imageView, filterView, dense(factor, c.messageExtents)],
            results: [dense(scaledOutput, c.messageExtents)]))
        let found = try experiment.run(on: backend)

        let terms = Double(c.inputChannels * c.kernel.count + c.output.count * batch)
        let tolerance = 4 * epsilon * terms.squareRoot()
        let place = "\(backend.name), batch \(batch)"
        var filterProduct = 0.0
        var filterScale = 0.0
        let direction = dice.reals(filterCount)
        for example in 0..<batch {
          let x = Array(images[example * imageCount..<(example + 1) * imageCount])
          let m = Array(messages[example * messageCount..<(example + 1) * messageCount])
          let expected = direct(c, image: x, filter: filters)
          let observed = Array(found[output][example * messageCount..<(example + 1) * messageCount])
          let scale = direct(c, image: x.map(abs), filter: filters.map(abs))
          let problem = discrepancy(observed, expected) { tolerance * scale[$0] }
          #expect(problem == nil, "\(place), example \(example): \(problem ?? "")")

          let part = example * messageCount..<(example + 1) * messageCount
          let products = discrepancy(Array(found[scaledOutput][part]), zip(expected, factors[part]).map(*)) {
            tolerance * scale[$0] * abs(factors[part.lowerBound + $0])
          }
          #expect(products == nil, "\(place), example \(example), scaled: \(products ?? "")")

          let d = dice.reals(imageCount)
          let gradient = found[imageGradient][example * imageCount..<(example + 1) * imageCount]
          let moved = zip(m, direct(c, image: d, filter: filters)).reduce(0) { $0 + $1.0 * $1.1 }
          let predicted = zip(gradient, d).reduce(0) { $0 + $1.0 * $1.1 }
          let size = zip(m, direct(c, image: d.map(abs), filter: filters.map(abs))).reduce(0) {
            $0 + abs($1.0) * $1.1
          }
          #expect(
            abs(predicted - moved) <= tolerance * size, "\(place): input gradient \(predicted), expected \(moved)")

          filterProduct += zip(m, direct(c, image: x, filter: direction)).reduce(0) { $0 + $1.0 * $1.1 }
          filterScale += zip(m, direct(c, image: x.map(abs), filter: direction.map(abs)))
            .reduce(0) { $0 + abs($1.0) * $1.1 }
        }
        let predicted = zip(found[filterGradient], direction).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(
          abs(predicted - filterProduct) <= tolerance * filterScale,
          "\(place): filter gradient \(predicted), expected \(filterProduct)")
      }
    }
  }
}
