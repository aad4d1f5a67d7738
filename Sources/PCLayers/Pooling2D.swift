import PCGraphs

/// The largest element of each window of images [B, channels, rows, columns]; one vertex, no parameters.
public struct MaxPool2D {
  public let name: String
  public let window: Int
  public let stride: Int

  /// - Parameter stride: by default the window, so that windows do not overlap.
  public init(_ name: String, window: Int, stride: Int? = nil) {
    self.name = name
    self.window = window
    self.stride = stride ?? window
  }

  public func callAsFunction(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
    x.graph.vertex(name, file: file, line: line) {
      maxPool(x, window: window, stride: stride, file: file, line: line)
    }
  }
}

/// All axes but the batch as one: [B, n]. Structural, so no depth.
public func flatten(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.flattened(file: file, line: line)
}
