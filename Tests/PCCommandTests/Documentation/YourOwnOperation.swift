import PCDifferentiable
import PredictiveCoding

enum YourOwnOperation {
  static func run() throws {
    let reading = try Reading("YourOwnOperation")

    func net(_ activation: @escaping (Value) -> Value) -> Model {
      Model { graph in
        let x = graph.input("x", [.batch, 3])
        let w = graph.parameter("w", [3, 4], .glorot)
        let hidden = graph.vertex("hidden") { activation(matmul(x, w)) }
        let y = Dense("output", 2)(hidden)
        graph.loss(.squaredError(y, graph.input("target", [.batch, 2])))
      }
    }

    let feed = Feed(
      count: 2,
      [
        "x": .doubles([0.3, -0.8, 1.5, -0.2, 0.6, -1.1]),
        "target": .doubles([1, -1, 0.5, 0]),
      ])

    func largestDifference(_ model: Model) throws -> Double {
      let network = try Network(model, on: Reference(), seed: 1)
      let gradients = try network.gradients(Backprop(), on: feed)
      var largest = 0.0
      for (name, start) in network.parameters() {
        for index in start.values.indices {
          func loss(movedBy step: Double) throws -> Double {
            var moved = start
            moved.values[index] += step
            network.setParameter(name, to: moved)
            return try network.meanLoss(on: feed) * Double(feed.count)
          }
          let slope = try (loss(movedBy: 1e-5) - loss(movedBy: -1e-5)) / 2e-5
          network.setParameter(name, to: start)
          let gradient = gradients[name]?.values[index] ?? 0
          largest = max(largest, abs(slope - gradient))
        }
      }
      return largest
    }

    let byOperators = net { x in x / (1 + abs(x)) }
    print("operators:", try largestDifference(byOperators) < 1e-8)

    let byMap = net { x in
      map(
        x, "softsign", { $0 / (1 + abs($0)) },
        slope: { 1 / ((1 + abs($0)) * (1 + abs($0))) })
    }
    print("map:", try largestDifference(byMap) < 1e-8)

    let unitLength = Custom("unit length") { operands in
      let x = operands[0]
      let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return x.map { $0 / length }
    } pullback: { operands, message, _ in
      let x = operands[0]
      let square = x.reduce(0) { $0 + $1 * $1 }
      let along = zip(x, message).reduce(0) { $0 + $1.0 * $1.1 } / square
      return zip(x, message).map { ($1 - along * $0) / square.squareRoot() }
    }
    let byCustom = net { x in x.graph.apply(unitLength, to: [x]) }
    print("Custom:", try largestDifference(byCustom) < 1e-8)

    let byCompiler = net { x in
      differentiable(x, "bump") { x in x > 0 ? x * x / (1 + x * x) : 0 }
    }
    print("differentiable:", try largestDifference(byCompiler) < 1e-8)

    /// y = x / (1 + |x|), element by element; ∂y/∂x = 1 / (1 + |x|)².
    struct Softsign: Operation {
      let name = "softsign"

      func shape(_ operands: [Shape]) -> Shape { operands[0] }

      func forward(_ operands: [Term], _ emit: Emitter) -> Term {
        emit.divide(operands[0], divisor(operands[0], emit))
      }

      func pullback(
        to operand: Int, _ point: Linearization, _ emit: Emitter
      ) -> Term? {
        let divisor = divisor(point.operands[0], emit)
        return emit.divide(point.message, emit.multiply(divisor, divisor))
      }

      private func divisor(_ x: Term, _ emit: Emitter) -> Term {
        let size = emit.map(.absolute, x)
        let one = emit.constant(1, size.extents, isBatched: size.isBatched)
        return emit.add(size, one)
      }
    }

    let byInstructions = net { x in x.graph.apply(Softsign(), to: [x]) }
    print("Operation:", try largestDifference(byInstructions) < 1e-8)

    let network = try Network(byInstructions, on: CPU(), seed: 1)
    let rule = FixedPredictions(steps: 100, rate: 0.2)
    let bySteps = try network.gradients(rule, on: feed)
    let byBackprop = try network.gradients(Backprop(), on: feed)
    let distance = bySteps.compared(with: byBackprop).relativeError
    print("close to backprop:", distance < 1e-5)

    reading.end()
  }
}
