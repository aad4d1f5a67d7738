import PCKernelsC
import PCPrimitives

/// How a repeated section runs many of its rounds at once: see `StepsInLanes`.
struct Rounds {
  /// Rounds that the lanes hold.
  var count: Int
  /// Lanes of one round.
  var examples: Int
  /// Calls that spread what is constant to all rounds, that run these, and that leave the last one's numbers where a round by
  /// itself would have left them.
  var spread: Range<Int>
  var run: Range<Int>
  var leave: Range<Int>
}

extension Lowering {
  /// Lowers each section that allows it a second time, with rounds beside one another.
  ///
  /// - Parameters:
  ///   - program: with its examples, of which the one that is lowered here may have made none.
  ///   - lanes: a power of 2 with room for the examples of several rounds.
  ///   - set: for such tiles.
  mutating func lowerRounds(of program: Program, lanes: Int, set: UnsafePointer<pc_set>) throws {
    var examples = 1
    while examples < batchSize { examples *= 2 }
    for (index, section) in program.sections.enumerated() {
      guard let steps = StepsInLanes(program, section: index) else { continue }
      var wide = program
      wide.buffers = steps.buffers
      var memory = buffers
      for buffer in steps.buffers[memory.count...] { memory.append(try workspace(buffer.count * lanes)) }
      func geometry(_ buffer: Int) -> pc_rounds {
        pc_rounds(
          lanes: Int64(lanes), examples: Int64(examples), own_lanes: Int64(self.lanes),
          count: Int64(steps.buffers[buffer].count), own: buffers[buffer].base, rounds: memory[buffer].base)
      }
      for buffer in steps.spread { memory[buffer] = try workspace(steps.buffers[buffer].count * lanes) }

      let first = calls.count
      for (buffer, vertex) in steps.constants {
        call(
          PC_KERNEL_SPREAD, geometry(buffer), "spread to rounds", vertex: vertex, in: section, reads: [buffer],
          writes: [buffer])
      }
      let run = calls.count
      for entry in steps.entries {
        switch entry {
        case .instruction(let instruction):
          try lower(instruction, in: section, of: wide, memory: memory, lanes: lanes, set: set)
        case .course(let state):
          let parameters = pc_course(
            beta: coefficient(state.kept), rounds: geometry(state.buffer), update: memory[state.update].base,
            after: state.isReadAfter)
          call(
            PC_KERNEL_COURSE, parameters, "course", vertex: state.vertex, in: section,
            reads: [state.update, state.buffer], writes: [state.buffer])
        }
      }
      let leave = calls.count
      for (buffer, vertex) in steps.temporaries {
        call(
          PC_KERNEL_LAST_ROUND, geometry(buffer), "last round", vertex: vertex, in: section, reads: [buffer],
          writes: [buffer])
      }
      rounds[index] = Rounds(
        count: lanes / examples, examples: examples, spread: first..<run, run: run..<leave, leave: leave..<calls.count
      )
    }
  }
}
