import PCGraphs

/// The largest element of each window of images [B, channels, rows, columns]; one vertex, no parameters.
public struct MaxPool2D {
  /// The vertex's name.
  public let name: String
  /// Rows, and columns, of a window.
  public let window: Int
  /// Pixels from one window to the next, alike down and to the right.
  public let stride: Int

  /// A layer whose `stride` is the window unless it is given, so that windows do not overlap.
  public init(_ name: String, window: Int, stride: Int? = nil) {
    self.name = name
    self.window = window
    self.stride = stride ?? window
  }

  /// The layer applied to images [B, channels, rows, columns]: [B, channels, r′, c′] with
  /// r′ = ⌊(rows − window) / stride⌋ + 1. Stops where the shape does not fit.
  public func callAsFunction(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
    x.graph.vertex(name, file: file, line: line) {
      maxPool(x, window: window, stride: stride, file: file, line: line)
    }
  }
}

/// The mean of each window of images [B, channels, rows, columns]; one vertex, no parameters.
public struct AveragePool2D {
  /// The vertex's name.
  public let name: String
  /// Rows, and columns, of a window.
  public let window: Int
  /// Pixels from one window to the next, alike down and to the right.
  public let stride: Int
  /// Zeros on each side of the image, which count in the means; 0 unless given.
  public let padding: Int

  /// A layer whose `stride` is the window unless it is given, so that windows do not overlap.
  public init(_ name: String, window: Int, stride: Int? = nil, padding: Int = 0) {
    self.name = name
    self.window = window
    self.stride = stride ?? window
    self.padding = padding
  }

  /// The layer applied to images [B, channels, rows, columns]: [B, channels, r′, c′] with
  /// r′ = ⌊(rows + 2 · padding − window) / stride⌋ + 1. Stops where the shape does not fit.
  public func callAsFunction(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
    x.graph.vertex(name, file: file, line: line) {
      averagePool(x, window: window, stride: stride, padding: padding, file: file, line: line)
    }
  }
}

/// The mean of each channel of images [B, channels, rows, columns]: [B, channels]; one vertex, no parameters.
public struct GlobalAveragePool2D {
  /// The vertex's name.
  public let name: String

  /// A layer without settings.
  public init(_ name: String) { self.name = name }

  /// The layer applied to images of any size. Stops where the value is no image.
  public func callAsFunction(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
    guard x.shape.rank == 4 else {
      fatalError("\(file):\(line): \(name) takes images [B, channels, rows, columns], not \(x.name) \(x.shape)")
    }
    return x.graph.vertex(name, file: file, line: line) { x.mean(axes: [2, 3], file: file, line: line) }
  }
}

/// All axes but the batch as one: [B, n]. Structural, so no depth.
public func flatten(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.flattened(file: file, line: line)
}
