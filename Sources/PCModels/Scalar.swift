import PCGraphs

extension Model {
  /// The first experiment of Millidge, Tschantz and Buckley (2022): y = tan √(θ v0) + sin v0², with ½ (target − y)² as
  /// loss. Inputs `v0`, `theta` and `target`, one number for each example; no parameters.
  ///
  /// - Parameter isGrouped: whether the graph has the paper's vertices, `product` = θ v0, `root` = √product and
  ///   `square` = v0² relaxed and `y` = tan root + sin square deterministic; else every operation is one, and `tan` and
  ///   `sin` are relaxed as well.
  public static func scalar(isGrouped: Bool = true) -> Model {
    Model { graph in
      let v0 = graph.input("v0", [.batch])
      let theta = graph.input("theta", [.batch])
      let product = graph.vertex("product") { theta * v0 }
      let root = graph.vertex("root") { sqrt(product) }
      let square = graph.vertex("square") { v0 * v0 }
      let y: Value
      if isGrouped {
        y = graph.vertex("y") { tan(root) + sin(square) }
      } else {
        let (left, right) = (graph.vertex("tan") { tan(root) }, graph.vertex("sin") { sin(square) })
        y = graph.vertex("y") { left + right }
      }
      graph.loss(.squaredError(y, graph.input("target", [.batch])))
    }
  }
}
