import PCRandomness

/// Random changes that leave an image's class as it is: each pass over the data shows other versions of the images.
///
/// What happens to an image depends on the seed, the pass and the image's place in its data set alone, so neither the order
/// of the batches nor threads have a say. The defaults of CIFAR-10 (He et al. 2016, §4.2): images moved by up to 4
/// pixels, half of them mirrored.
public struct Augmentation: Sendable, Hashable, Codable {
  /// Images are moved by up to so many pixels in each direction, black (0 before normalisation) coming in from the borders:
  /// the same as a random crop of the padded image.
  public var padding: Int
  /// Whether half of the images are mirrored, left to right.
  public var flips: Bool

  /// Stops at a negative padding.
  public init(padding: Int = 4, flips: Bool = true) {
    guard padding >= 0 else { fatalError("Augmentation: the padding is \(padding); it cannot be negative.") }
    self.padding = padding
    self.flips = flips
  }

  /// What a list such as `crop,flip` asks for.
  ///
  /// - Throws: `DataError.unusable` about a word that is neither.
  public init(named text: String) throws(DataError) {
    self.init(padding: 0, flips: false)
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      switch word {
      case "crop": padding = 4
      case "flip": flips = true
      default: throw .unusable(path: "The augmentation \"\(word)\"", problem: "is not known; crop and flip are")
      }
    }
  }

  /// `crop 4, flip`.
  public var summary: String {
    let parts = (padding > 0 ? ["crop \(padding)"] : []) + (flips ? ["flip"] : [])
    return parts.isEmpty ? "none" : parts.joined(separator: ", ")
  }

  /// The move, in pixels down and to the right, and whether the image is mirrored.
  func draw(seed: UInt64, epoch: Int, example: Int) -> (down: Int, right: Int, isFlipped: Bool) {
    var stream = RandomStream(seed: seed, "augmentation", epoch, example)
    let down = stream.integer(below: 2 * padding + 1) - padding
    let right = stream.integer(below: 2 * padding + 1) - padding
    return (down, right, flips && stream.integer(below: 2) == 1)
  }
}

extension Batch {
  /// The batch as pass `epoch` shows it; `black` is what comes in from the borders.
  ///
  /// - Precondition: the examples are images, of shape [channels, rows, columns].
  func augmented(_ augmentation: Augmentation, seed: UInt64, epoch: Int, black: Float) -> Batch {
    guard inputShape.count == 3 else {
      fatalError("Augmentation takes images [channels, rows, columns], not examples of shape \(inputShape).")
    }
    let (channels, rows, columns) = (inputShape[0], inputShape[1], inputShape[2])
    var result = self
    for (place, index) in exampleIndices.enumerated() {
      let (down, right, isFlipped) = augmentation.draw(seed: seed, epoch: epoch, example: index)
      for row in 0..<channels * rows {
        let first = (place * channels * rows + row) * columns
        // Rows move within their channel.
        let sourceRow = row % rows - down
        let source = first - down * columns
        for column in 0..<columns {
          let sourceColumn = (isFlipped ? columns - 1 - column : column) - right
          let isInside = 0..<rows ~= sourceRow && 0..<columns ~= sourceColumn
          result.inputs[first + column] = isInside ? inputs[source + sourceColumn] : black
        }
      }
    }
    return result
  }
}
