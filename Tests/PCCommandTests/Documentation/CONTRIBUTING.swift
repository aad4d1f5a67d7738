import PredictiveCoding
import Testing

enum CONTRIBUTING {
  /// y = x³, element by element; ∂y/∂x = 3x².
  public struct Cube: Operation {
    public let name = "cube"
    public init() {}

    public func shape(_ operands: [Shape]) -> Shape { operands[0] }

    public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
      let x = operands[0]
      return emit.multiply(x, emit.multiply(x, x))
    }

    public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
      let x = point.operands[0]
      return emit.multiply(point.message, emit.scale(emit.multiply(x, x), by: 3))
    }
  }

  static func run() throws {
    let model = Model { graph in
      let y = graph.apply(Cube(), to: [graph.input("x", [.batch, 1])])
      graph.loss(.squaredError(y, graph.input("target", [.batch, 1])))
    }
    let network = try Network(model, on: Reference(), seed: 0)
    let feed = Feed(count: 1, ["x": .doubles([2]), "target": .doubles([1])])
    let run = try network.run(Backprop(), on: feed, gradientOf: ["x"])
    run.runAll()
    // ½ (x³ − 1)² at x = 2, whose slope is (x³ − 1) 3x².
    #expect(run.losses() == [24.5])
    #expect(run.gradient(ofInput: "x").values == [84])
  }
}
