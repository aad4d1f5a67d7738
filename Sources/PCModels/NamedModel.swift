import PCGraphs
import PCLayers

/// What a model is made for: one example's shape, and how many classes there are.
public struct ImageTask: Sendable, Hashable {
  /// [channels, rows, columns].
  public var inputShape: [Int]
  /// How many labels there are, from 0.
  public var classes: Int

  /// A task; `NamedModel.build` refuses one without three positive extents and a class.
  public init(inputShape: [Int], classes: Int) {
    self.inputShape = inputShape
    self.classes = classes
  }
}

/// What a model's output is compared with the label by, under the names that the command line uses.
public enum LossKind: String, Sendable, CaseIterable {
  /// ½ Σ (one-hot label − output)², on an output that is linear.
  case squaredError = "squared-error"
  /// −log softmax(output) at the label.
  case crossEntropy = "cross-entropy"
}

/// The networks of this module, by the names that the command line uses.
public enum NamedModel: String, Sendable, CaseIterable {
  /// The function of that name in `Model` builds it.
  case mlp, cnn, residual, branching, resnext

  /// The loss that the model is trained with unless another is asked for.
  public var defaultLoss: LossKind { self == .cnn ? .squaredError : .crossEntropy }

  /// The graph for a task.
  ///
  /// - Parameters:
  ///   - task: the images' shape, and how many classes there are.
  ///   - hidden: widths of the hidden layers, for `mlp` alone; by default 512, 512.
  ///   - loss: by default `defaultLoss`.
  /// - Throws: a `ModelError` where the model does not fit the images.
  public func build(_ task: ImageTask, hidden: [Int]? = nil, loss: LossKind? = nil) throws(ModelError) -> Model {
    guard task.inputShape.count == 3, task.inputShape.allSatisfy({ $0 > 0 }), task.classes > 0 else {
      throw ModelError("\(rawValue) takes images [channels, rows, columns], not \(task.inputShape)")
    }
    guard hidden == nil || self == .mlp else { throw ModelError("only mlp has hidden widths to choose") }
    let loss = loss ?? defaultLoss
    switch self {
    case .mlp: return try Model.mlp(task, hidden: hidden ?? [512, 512], loss: loss)
    case .cnn: return try Model.cnn(task, loss: loss)
    case .residual: return try Model.residual(task, loss: loss)
    case .branching: return try Model.branching(task, loss: loss)
    case .resnext: return try Model.resnext(task, loss: loss)
    }
  }
}

/// Why a model cannot be built for a task, in a sentence.
public struct ModelError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
  /// A sentence that says what does not fit.
  public init(_ description: String) { self.description = description }
}

/// The frame that all models share: an input `image`, the labels, and a loss on what `body` returns.
func classifier(_ task: ImageTask, _ loss: LossKind, _ body: (GraphBuilder, Value) -> Value) -> Model {
  Model { graph in
    let image = graph.input("image", Shape([.batch] + task.inputShape.map(Axis.fixed)))
    let label = graph.labels("label", classes: task.classes)
    let output = body(graph, image)
    switch loss {
    case .squaredError: graph.loss(.squaredError(output, label))
    case .crossEntropy: graph.loss(.crossEntropy(output, label))
    }
  }
}
