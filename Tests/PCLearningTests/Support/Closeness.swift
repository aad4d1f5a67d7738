import PredictiveCoding
import Testing

/// ‖a − b‖ / (1 + ‖b‖): relative for large arrays of numbers, absolute for small ones. NaN if either holds one.
func distance(_ observed: [Double], _ expected: [Double]) -> Double {
  guard observed.count == expected.count else { return .infinity }
  // Divided by the largest number first, whose square may overflow.
  let unit = expected.reduce(1) { max($0, abs($1)) }
  func norm(_ numbers: [Double]) -> Double { numbers.reduce(0) { $0 + ($1 / unit) * ($1 / unit) }.squareRoot() }
  return norm(zip(observed, expected).map { $0 - $1 }) / (1 / unit + norm(expected))
}

/// Records an issue with both arrays unless they agree.
func expectClose(
  _ observed: [Double], _ expected: [Double], within tolerance: Double = 1e-11, _ what: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let off = distance(observed, expected)
  guard !(off <= tolerance) else { return }
  func shown(_ numbers: [Double]) -> String {
    "\(numbers.prefix(8))" + (numbers.count > 8 ? "… (\(numbers.count))" : "")
  }
  Issue.record(
    "\(what()): expected \(shown(expected)), observed \(shown(observed)), \(off) apart, \(tolerance) allowed",
    sourceLocation: sourceLocation)
}

func expectClose(
  _ observed: Double, _ expected: Double, within tolerance: Double = 1e-11, _ what: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  expectClose([observed], [expected], within: tolerance, what(), sourceLocation: sourceLocation)
}

extension Gradients {
  subscript(numbers parameter: String) -> [Double] { self[parameter]?.values ?? [] }
}
