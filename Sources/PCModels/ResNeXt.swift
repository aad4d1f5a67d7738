import PCGraphs
import PCLayers

extension Model {
  /// A small ResNeXt (Xie et al., 2017): residual blocks whose 3×3 convolutions are grouped, batch normalisation after each
  /// convolution, dropout before the head. 3×3 to 32 channels and max-pool 2, a block, 1×1 to 64 channels and max-pool 2, a
  /// block, average-pool 2, dropout 0.1, a dense head. A block is relu(x + norm(conv1×1(relu(norm(conv3×3(x)))))).
  ///
  /// Batch normalisation couples the examples of a batch, and a message may cross up to 17 relaxed vertices: what a rule
  /// must cope with in nets of today.
  public static func resnext(_ task: ImageTask, loss: LossKind = .crossEntropy) throws(ModelError) -> Model {
    let smallest = min(task.inputShape[1], task.inputShape[2])
    guard smallest >= 8 else {
      throw ModelError("resnext needs images of at least 8×8 pixels, not \(task.inputShape[1])×\(task.inputShape[2])")
    }
    return classifier(task, loss) { graph, image in
      func normalised(
        _ name: String, _ x: Value, _ filters: Int, kernel: Int, groups: Int = 1, _ activation: Activation = .relu
      ) -> Value {
        let convolved = Convolution2D(
          "conv\(name)", filters: filters, kernel: kernel, padding: kernel / 2, groups: groups, bias: false)(x)
        return NormalizationLayer("norm\(name)", .batch(), activation: activation)(convolved)
      }
      func block(_ name: String, _ x: Value, _ filters: Int) -> Value {
        graph.scope(name) {
          let inner = normalised("1", x, filters, kernel: 3, groups: 4)
          let outer = normalised("2", inner, filters, kernel: 1, .identity)
          return graph.vertex("sum") { relu(x + outer) }
        }
      }
      var x = graph.scope("stem") { normalised("", image, 32, kernel: 3) }
      x = block("block1", MaxPool2D("pool1", window: 2)(x), 32)
      x = graph.scope("widen") { normalised("", x, 64, kernel: 1) }
      x = block("block2", MaxPool2D("pool2", window: 2)(x), 64)
      x = AveragePool2D("pool3", window: 2)(x)
      return Dense("output", task.classes)(dropout(flatten(x), rate: 0.1))
    }
  }
}
