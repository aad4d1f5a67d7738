import PCInterchange

/// How far inference on one batch has come, in numbers: means over the examples.
///
/// ```swift
/// let run = try network.run(StandardPredictiveCoding(), on: feed, isMonitored: true)
/// run.runAll { print($0.step, $0.energy, $0["conv1"].errorNorm) }
/// ```
public struct InferenceStep: Sendable, Hashable {
  /// Steps made; 0 after the feedforward pass.
  public var step: Int
  /// Σ wL at the present values.
  public var loss: Double
  /// ‖dv/dt‖ over all relaxed vertices, root mean square over the examples; 0 where inference rests.
  public var residual: Double
  /// All vertices but those of parameters alone, in topological order.
  public var vertices: [Vertex]

  /// F = Σ ½‖v − p‖² + Σ wL.
  public var energy: Double { vertices.reduce(loss) { $0 + $1.energy } }

  /// What one vertex adds to the energy.
  public struct Vertex: Sendable, Hashable {
    /// Its path.
    public var name: String
    /// ½‖v − p‖²; 0 for a deterministic vertex without clamps.
    public var energy: Double
    /// ‖v − p‖, root mean square over the examples.
    public var errorNorm: Double { (2 * energy).squareRoot() }
  }

  /// A vertex by its path; stops where there is none of that name.
  public subscript(vertex: String) -> Vertex {
    guard let found = vertices.first(where: { $0.name == vertex }) else {
      fatalError(absence(of: vertex, "vertex", among: vertices.map(\.name)))
    }
    return found
  }
}

/// One step of training, as `Trainer.onTrainingStep` is told of it.
public struct TrainingStep: Sendable, Hashable {
  /// Batches learned from, this one included.
  public var step: Int
  /// Σ wL at the feedforward values, the mean over the examples.
  public var loss: Double
  /// Where inference ended: what the parameters learned from.
  public var inference: InferenceStep
}

/// A sentence about a name that is not there: what may have been meant, and what there is.
func absence(of name: String, _ kind: String, among names: [String]) -> String {
  let hint = nearestMatch(to: name, in: names).map { " (did you mean \($0)?)" } ?? ""
  let limit = 30
  let rest = names.count > limit ? " and \(names.count - limit) more" : ""
  return "there is no \(kind) \(name)\(hint); there are \(names.prefix(limit).joined(separator: ", "))\(rest)"
}
