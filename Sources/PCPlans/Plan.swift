import PCGraphs
import PCPrimitives

/// The parts of a plan's program, in the order in which they run.
public enum Phase: String, Sendable, CaseIterable {
  /// What depends on parameters alone.
  case parameters
  /// The feedforward pass, the losses, and everything else that is constant during inference.
  case batch
  /// The steps of inference, block after block; absent where a rule has none.
  case step
  /// The closing deterministic sweep and the gradients.
  case close
  /// Energy and residual, where the plan was asked for them.
  case monitor
  /// Adds the gradient to those of the batches before, where an update waits for several.
  case accumulate
  /// The optimiser's update, where there is one.
  case update
}

/// A graph under a rule, as a static program: what is computed, in which order, into which buffers.
///
/// A plan knows no batch size and no backend; a backend compiles it for both.
public struct Plan: Sendable {
  /// What is computed.
  public var graph: Graph
  /// How it is computed.
  public var program: Program
  /// For each phase that the rule has, its section of the program.
  public var phases: [Phase: Int]
  /// What inference relaxes together, in the order in which it does: one block, or one for each step of a sequence.
  public var blocks: [Block]
  /// For each input of the graph, its term.
  public var inputs: [Term]
  /// For each parameter of the graph, its term.
  public var parameters: [Term]
  /// For each parameter, the direction that lowers the energy, −∂L/∂θ summed over the examples and scaled by the
  /// slot `gradient scale`; `nil` where it is not trained or no loss reaches it, none in a plan that is not to be observed.
  public var gradients: [Term?]
  /// For each vertex, the value that its children see; like predictions and messages, none in a plan that is not to be
  /// observed.
  public var values: [Term]
  /// For each vertex, its prediction from its parents.
  public var predictions: [Term]
  /// For each vertex, its message at the end of inference; `nil` where none arrives.
  public var messages: [Term?]
  /// Messages to the inputs that were asked for, by input.
  public var inputMessages: [Int: Term]
  /// For each loss, its weighted value for each example.
  public var losses: [Term]
  /// For each loss, the feedforward value that it compares with its target.
  public var outputs: [Term]
  /// For each carried input, by its index, the feedforward value that it holds in the next batch.
  public var carried: [Int: Term]
  /// Σ ½‖v − p‖² and Σ (dv/dt)² for each example, by vertex, where the plan was asked for them.
  public var monitor: Monitor?
  /// Σg² over all parameters, after the closing phase, where the plan has an optimiser. For a gradient that the update takes
  /// as it is made, the squares of what it is made of: the sum is finite only where the gradient is.
  public var squaredGradientNorm: Term?
  /// Coefficients to be set along with those that they are products of.
  public var slotProducts: [Program.SlotProduct] = []

  /// Sections of the program that relax some vertices while all others are held.
  public struct Block: Sendable, Hashable {
    /// What is constant during the block's steps, once before them.
    public var prologue: Int?
    /// One step.
    public var step: Int
    /// The block's deterministic vertices, once after its steps.
    public var epilogue: Int?
  }

  /// Terms of the monitor phase: what energy and residual are summed from.
  public struct Monitor: Sendable {
    /// ½‖v − p‖² for each example, by vertex.
    public var squaredErrors: [Int: Term]
    /// ‖dv/dt‖² for each example, by vertex; 0 where inference rests.
    public var squaredResiduals: [Int: Term]
    /// For each loss, its weighted value for each example, at the values that inference ended with.
    public var losses: [Term]
  }

  /// Buffers that are filled or read from outside of the program.
  var visibleBuffers: Set<Int> {
    var terms = inputs + parameters + values + predictions + losses + outputs + inputMessages.values + carried.values
    terms += (gradients + messages + [squaredGradientNorm]).compactMap { $0 }
    if let monitor {
      terms += Array(monitor.squaredErrors.values) + Array(monitor.squaredResiduals.values) + monitor.losses
    }
    return Set(terms.map(\.view.buffer))
  }

  /// The script that runs the given phases, each block's step `steps` times.
  public func script(_ wanted: [Phase], steps: Int = 1) -> [Passage] {
    wanted.flatMap { phase -> [Passage] in
      guard phase == .step else { return phases[phase].map { [Passage(section: $0)] } ?? [] }
      return blocks.flatMap { block in
        [
          block.prologue.map { Passage(section: $0) }, Passage(section: block.step, count: steps),
          block.epilogue.map { Passage(section: $0) },
        ].compactMap { $0 }
      }
    }
  }

  /// Multiply-adds of matrix and convolution work that each example needs in a script; what is done once for all of them, such as
  /// the norm of the gradient, does not count.
  public func multiplyAdds(in script: [Passage]) -> Int {
    script.reduce(0) { sum, passage in
      let each = program.sections[passage.section].instructions.filter { instruction in
        (instruction.operands + instruction.results).contains { program.buffers[$0.buffer].isBatched }
      }
      return sum + passage.count * each.reduce(0) { $0 + $1.primitive.multiplyAdds }
    }
  }

  /// The slot of a coefficient, if the program reads it.
  public func slot(_ name: String) -> Int? { program.slots.firstIndex(of: name) }
}
