import PCPrimitives

/// A repeated section rewritten so that many of its rounds run at once, beside one another in the lanes of a tile.
///
/// A batch of few examples fills no vector, and each round reads all weights for the sake of these few. But often rounds
/// hand on nothing other than *states*, which each move by an update of their own, `m ← β m + u`, where u hears of other
/// states, though no state hears of one that hears of it. Messages under fixed predictions are such states: they
/// travel one way. Then the *course* of a state, its values in all rounds, follows from the courses that it hears of: first u for all
/// rounds together, in products that fill the vectors, then m round by round, which costs one multiply-add for each number.
/// The results are those of one round after the other, but for rounding.
struct StepsInLanes {
  /// What moves from round to round.
  struct State {
    /// The buffer, which holds the course in the rewritten program.
    var buffer: Int
    /// Where the rewritten program leaves u.
    var update: Int
    /// β, the share that stays.
    var kept: Scalar
    /// The position of the instruction that first adds to u.
    fileprivate var firstUpdate: Int
    /// The vertex that it serves.
    var vertex: String
    /// Whether the section reads the state after the round's update rather than before it.
    var isReadAfter: Bool
  }

  enum Entry {
    case instruction(Instruction)
    /// The state's course follows from its updates.
    case course(State)
  }

  /// The buffers of the program, each to have a number for every round and example, and then the rewritten one's own.
  private(set) var buffers: [Buffer]
  /// What a block of rounds does, in order.
  private(set) var entries: [Entry] = []
  private(set) var states: [State] = []
  /// Batched buffers that rounds read and do not write, with the vertices that they serve.
  private(set) var constants: [(buffer: Int, vertex: String)] = []
  /// Buffers other than states that rounds write.
  private(set) var temporaries: [(buffer: Int, vertex: String)] = []

  /// Buffers of the program that the rewritten one has for itself.
  var spread: [Int] { states.map(\.buffer) + constants.map(\.buffer) + temporaries.map(\.buffer) }

  /// `nil` where rounds hand on more than such states, or have no products that would gain.
  init?(_ original: Program, section: Int) {
    let program = original.tellingTurnsApart(in: section)
    buffers = program.buffers
    let instructions = program.sections[section].instructions
    guard instructions.contains(where: { $0.primitive.multiplyAdds > 0 }),
      instructions.allSatisfy({ instruction in
        if case .foreign = instruction.primitive { return false }
        return instruction.results.allSatisfy { program.buffers[$0.buffer].isBatched }
      })
    else { return nil }

    var accesses: [Int: Accesses] = [:]
    for (position, instruction) in instructions.enumerated() {
      for view in instruction.operands { accesses[view.buffer, default: Accesses()].reads.append(position) }
      for view in instruction.results { accesses[view.buffer, default: Accesses()].writes.append(position) }
    }
    var states: [Int: State] = [:]
    for (buffer, access) in accesses.sorted(by: { $0.key < $1.key }) where program.buffers[buffer].isBatched {
      guard let firstWrite = access.writes.first else {
        constants.append((buffer, instructions[access.reads[0]].label))
        continue
      }
      let first = instructions[firstWrite]
      guard let result = first.results.first(where: { $0.buffer == buffer }), result.offset == 0,
        program.isPermutation(result, extents: first.primitive.denseResultExtents)
      else { return nil }
      if first.beta == .zero, access.reads.allSatisfy({ $0 > firstWrite }) {
        if buffer < original.buffers.count { temporaries.append((buffer, first.label)) }
      } else {
        guard let state = State(buffer, access, instructions, update: buffers.count) else { return nil }
        states[buffer] = state
        buffers.append(Buffer(name: "\(buffers[buffer].name), update", count: buffers[buffer].count, isBatched: true))
      }
    }
    guard !states.isEmpty, let ordered = Self.order(instructions, states) else { return nil }
    entries = ordered
    self.states = states.values.sorted { $0.update < $1.update }
  }

  /// Positions of the instructions that read and write a buffer.
  fileprivate struct Accesses {
    var reads: [Int] = []
    var writes: [Int] = []
  }

  /// The instructions and courses so that each comes after what it hears of; `nil` where they go in a circle.
  private static func order(_ instructions: [Instruction], _ states: [Int: State]) -> [Entry]? {
    // Nodes are the instructions by position, then the courses.
    let courses = states.values.sorted { $0.buffer < $1.buffer }
    let node = Dictionary(
      uniqueKeysWithValues: courses.enumerated().map { ($1.buffer, instructions.count + $0) })
    var before: [Set<Int>] = Array(repeating: [], count: instructions.count + courses.count)
    var lastWrite: [Int: Int] = [:]
    var readsSince: [Int: Set<Int>] = [:]
    for (position, instruction) in instructions.enumerated() {
      for buffer in Set(instruction.operands.map(\.buffer)) {
        if let course = node[buffer] {
          before[position].insert(course)
        } else {
          if let write = lastWrite[buffer] { before[position].insert(write) }
          readsSince[buffer, default: []].insert(position)
        }
      }
      for buffer in Set(instruction.results.map(\.buffer)) {
        if let write = lastWrite[buffer] { before[position].insert(write) }
        before[position].formUnion(readsSince[buffer] ?? [])
        before[position].remove(position)
        lastWrite[buffer] = position
        readsSince[buffer] = []
        if let course = node[buffer] { before[course].insert(position) }
      }
    }
    var after: [[Int]] = Array(repeating: [], count: before.count)
    for (node, others) in before.enumerated() { for other in others { after[other].append(node) } }
    var awaited = before.map(\.count)
    // What has just been made is used next, while it is in the cache.
    var ready = Array(before.indices.reversed().filter { awaited[$0] == 0 })
    var entries: [Entry] = []
    while let next = ready.popLast() {
      if next >= instructions.count {
        entries.append(.course(courses[next - instructions.count]))
      } else {
        var instruction = instructions[next]
        if let state = states[instruction.results[0].buffer] {
          instruction.results[0].buffer = state.update
          if next == state.firstUpdate { instruction.beta = .zero }
        }
        entries.append(.instruction(instruction))
      }
      for node in after[next].sorted(by: >) {
        awaited[node] -= 1
        if awaited[node] == 0 { ready.append(node) }
      }
    }
    return entries.count == before.count ? entries : nil
  }
}

extension StepsInLanes.State {
  /// `nil` where what the section does with the buffer is no update of its own.
  fileprivate init?(
    _ buffer: Int, _ access: StepsInLanes.Accesses, _ instructions: [Instruction], update: Int
  ) {
    let (first, last) = (access.writes[0], access.writes[access.writes.count - 1])
    let isReadBefore = access.reads.allSatisfy { $0 < first }
    guard isReadBefore || access.reads.allSatisfy({ $0 > last }),
      access.writes.allSatisfy({ instructions[$0].results.count == 1 }),
      access.writes.dropFirst().allSatisfy({ instructions[$0].beta == .one })
    else { return nil }
    (self.buffer, self.update, firstUpdate, isReadAfter) = (buffer, update, first, !isReadBefore)
    (kept, vertex) = (instructions[first].beta, instructions[first].label)
  }
}

extension Program {
  /// The program with buffers of their own for what takes turns in one: rounds beside one another need not keep the order of the
  /// turns. What the last turn leaves stays where it was.
  fileprivate func tellingTurnsApart(in section: Int) -> Program {
    let instructions = sections[section].instructions
    /// Where turns begin: a buffer is replaced as a whole, by what does not depend on it.
    var turns: [Int: [Int]] = [:]
    var touched: Set<Int> = []
    for (position, instruction) in instructions.enumerated() {
      touched.formUnion(instruction.operands.map(\.buffer))
      for result in instruction.results where !touched.contains(result.buffer) || turns[result.buffer] != nil {
        if begins(instruction, result) { turns[result.buffer, default: []].append(position) }
      }
      touched.formUnion(instruction.results.map(\.buffer))
    }
    var program = self
    var names: [Int: Int] = [:]
    for (position, instruction) in instructions.enumerated() {
      for index in instruction.operands.indices {
        let buffer = instruction.operands[index].buffer
        program.sections[section].instructions[position].operands[index].buffer = names[buffer] ?? buffer
      }
      for (index, result) in instruction.results.enumerated() {
        if let turns = turns[result.buffer], turns.contains(position) {
          names[result.buffer] = turns.last == position ? nil : program.buffers.count
          if turns.last != position { program.buffers.append(buffers[result.buffer]) }
        }
        program.sections[section].instructions[position].results[index].buffer = names[result.buffer] ?? result.buffer
      }
    }
    return program
  }

  private func begins(_ instruction: Instruction, _ result: View) -> Bool {
    instruction.beta == .zero && !instruction.operands.contains { $0.buffer == result.buffer }
      && isPermutation(result, extents: instruction.primitive.denseResultExtents)
  }
}
