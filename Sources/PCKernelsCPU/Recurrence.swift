import PCKernels
import PCKernelsC

/// Elementwise calls that, repeated, are one linear recurrence in what they write: so is all inference with fixed
/// predictions that needs no matrix product. See recurrences.h for what is gained.
///
/// Every call adds a multiple of its old value to `alpha · x` or `alpha · x · y`, where at most one operand is written by the
/// calls, and not by this one. No two of what is written read each other.
final class Recurrence {
  /// What profiles say of all repetitions together.
  let origin: Profile.Call
  private let states: CArray<pc_state>
  private let parameters: CArray<pc_recurrence>

  /// - Parameters:
  ///   - calls: a region's, in order, `repetitions` times.
  ///   - width: floats in a vector.
  init?(_ calls: [Call], _ repetitions: Int, width: Int) {
    let runs = calls.compactMap(\.run)
    guard runs.count == calls.count, let count = runs.first?.result.count, count % width == 0 else { return nil }
    var writers: [ElementRun.Numbers: [Int]] = [:]
    for (position, run) in runs.enumerated() { writers[run.result, default: []].append(position) }
    guard writers.count <= PC_MOST_STATES, writers.values.allSatisfy({ $0.count <= PC_MOST_TERMS }) else {
      return nil
    }

    /// The term of a call, and the numbers that it reads as they are in the course of the steps.
    func term(_ position: Int) -> (pc_term, source: ElementRun.Numbers?)? {
      let call = calls[position].parameters.load(as: pc_elementwise.self)
      var term = pc_term()
      (term.alpha, term.beta, term.source) = (call.alpha, call.beta, -1)
      let isProduct = call.operation == PC_MULTIPLY.rawValue
      guard isProduct || call.operation == PC_IDENTITY.rawValue, let operand = runs[position].operands.last else {
        return nil
      }
      let written = writers[operand]
      // `Lowering` puts a product's constant operand first.
      if isProduct, written == nil || writers[runs[position].operands[0]] != nil { return nil }
      if isProduct || written == nil {
        (term.factor, term.shared) = (call.x, Int64(count / runs[position].operands[0].count))
      }
      guard let written else { return (term, nil) }
      // It must have been read as the repetition before left it, or as this one does.
      guard written.allSatisfy({ $0 > position }) || written.allSatisfy({ $0 < position }) else { return nil }
      term.late = written[0] < position
      return (term, operand)
    }
    let terms = runs.indices.map(term)

    // Each after those that it reads.
    var order: [ElementRun.Numbers: Int] = [:]
    var states: [pc_state] = []
    var waiting = writers.sorted { $0.value[0] < $1.value[0] }
    while !waiting.isEmpty {
      let ready = waiting.firstIndex { _, positions in
        positions.allSatisfy { position in
          terms[position].map { $0.source.map { order[$0] != nil } ?? true } ?? false
        }
      }
      guard let ready else { return nil }
      let (numbers, positions) = waiting.remove(at: ready)
      var state = pc_state()
      state.place = calls[positions[0]].parameters.load(as: pc_elementwise.self).result
      state.count = Int64(positions.count)
      let own = positions.map { position in
        var (term, source) = terms[position] ?? (pc_term(), nil)
        if let source { term.source = Int64(order[source] ?? -1) }
        return term
      }
      state.terms = (own[0], own.count > 1 ? own[1] : pc_term())
      order[numbers] = states.count
      states.append(state)
    }
    self.states = CArray(states)
    parameters = CArray([
      pc_recurrence(
        count: Int64(count), repeat: Int64(repetitions), states: Int64(states.count), state: self.states.base)
    ])
    var origin = calls[0].origin
    var vertices: [String] = []
    for call in calls where !vertices.contains(call.origin.vertex) { vertices.append(call.origin.vertex) }
    origin.vertex = vertices.joined(separator: ", ")
    origin.operation = "recurrence"
    origin.byteCount = repetitions * calls.reduce(0) { $0 + $1.origin.byteCount }
    self.origin = origin
  }

  /// As C sees it.
  func call(_ kernel: @escaping pc_kernel) -> pc_call {
    pc_call(kernel: kernel, parameters: UnsafeRawPointer(parameters.base), alone: false, abreast: false)
  }
}
