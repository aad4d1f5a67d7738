import Foundation
import PCExperiments
import Testing

@Suite struct ConfusionMatrixTests {
  /// Oracle: the measures by hand. Rows: 4, 4 and 0 examples; columns: 3, 3 and 2.
  static func small() -> ConfusionMatrix {
    var matrix = ConfusionMatrix(labels: ["a", "b, \"c\"", "d"])
    matrix.add(label: 0, prediction: 0, count: 3)
    matrix.add(label: 0, prediction: 1)
    matrix.add(label: 1, prediction: 1, count: 2)
    matrix.add(label: 1, prediction: 2, count: 2)
    return matrix
  }

  @Test func measuresAreThoseByHand() {
    let matrix = Self.small()
    #expect(matrix.counts == [[3, 1, 0], [0, 2, 2], [0, 0, 0]])
    #expect(matrix.total == 8)
    #expect(matrix.accuracy == 5.0 / 8)
    #expect(matrix.recall == [0.75, 0.5, nil])
    #expect(matrix.precision == [1, 2.0 / 3, 0])
    #expect(matrix.balancedAccuracy == 0.625)
    let empty = ConfusionMatrix(labels: ["a"])
    #expect(empty.accuracy == nil)
    #expect(empty.balancedAccuracy == nil)
    #expect(empty.recall == [nil])
  }

  @Test func scoresCountTheHighest() {
    var matrix = ConfusionMatrix(labels: ["a", "b", "c"])
    matrix.add(scores: [0, 2, 1, 5, 5, 5, -1, -2, 0, -3, -2, -2], labels: [1, 2, 2, 0])
    #expect(matrix.counts == [[0, 1, 0], [0, 1, 0], [1, 0, 1]])
  }

  @Test func printsAsCSVAndJSON() {
    let matrix = Self.small()
    #expect(matrix.csv == "label,a,\"b, \"\"c\"\"\",d\na,3,1,0\n\"b, \"\"c\"\"\",0,2,2\nd,0,0,0\n")
    #expect(
      matrix.json.description
        == "{\"labels\":[\"a\",\"b, \\\"c\\\"\",\"d\"],\"counts\":[[3,1,0],[0,2,2],[0,0,0]],\"accuracy\":0.625,"
        + "\"balancedAccuracy\":0.625,\"recall\":[0.75,0.5,null],\"precision\":[1.0,\(2.0 / 3),0.0]}")
  }

  /// The picture read back: each cell's place from the labels beside it, its shade from its row, its number as printed.
  @Test(arguments: [2, 10, 18, 40, 100])
  func pictureShowsEveryCount(classes: Int) throws {
    var generator = SeededGenerator(seed: classes)
    var matrix = ConfusionMatrix(labels: (0..<classes).map { "class \($0)" })
    for row in 0..<classes {
      for column in 0..<classes where row == column || Int.random(in: 0..<3, using: &generator) == 0 {
        matrix.add(
          label: row, prediction: column, count: Int.random(in: 1...(row == column ? 500 : 20), using: &generator))
      }
    }
    let drawing = matrix.picture(title: "Random confusions.").svg
    let tree = try #require(XMLElementTree.parse(drawing.document))
    let cells = tree.all("rect", class: "cell")
    #expect(cells.count == matrix.counts.joined().count { $0 > 0 })
    let rows = tree.all("text", class: "row-label")
    let columns = tree.all("text", class: "column-label")
    #expect(rows.map(\.text) == matrix.labels && columns.map(\.text) == matrix.labels)
    let numbers = tree.all("text", class: "count")
    #expect(numbers.isEmpty ? classes >= 40 : numbers.count == cells.count, "\(classes) classes")
    let darkest = numbers.isEmpty ? 1 : 0.55
    let rowPlaces = rows.map { $0.number("y") }
    for (index, cell) in cells.enumerated() {
      let (x, y, size) = (cell.number("x"), cell.number("y"), cell.number("width"))
      let row = try #require(rowPlaces.firstIndex { y < $0 && $0 < y + size })
      let words = try #require(cell.all("title").first?.text)
      let prefix = "label class \(row), prediction class "
      #expect(words.hasPrefix(prefix))
      let column = try #require(Int(words.dropFirst(prefix.count).prefix { $0.isNumber }))
      let count = matrix.counts[row][column]
      #expect(words.contains(": \(count) ("))
      let share = Double(count) / Double(matrix.counts[row].reduce(0, +))
      #expect(abs(cell.number("fill-opacity") - darkest * share.squareRoot()) < 1e-3)
      #expect(0 <= x && x + size <= drawing.width && y + size <= drawing.height)
      if !numbers.isEmpty {
        #expect(x < numbers[index].number("x") && numbers[index].number("x") < x + size)
        let percent = share < 0.005 ? "<1" : String(Int((100 * share).rounded()))
        #expect([String(count), percent].contains(numbers[index].text))
      }
    }
  }

  @Test func summaryNamesTheWorst() {
    #expect(
      Self.small().picture(title: "t").svg.summary
        == "3 rows (label) and as many columns (prediction). The largest shares off the diagonal: "
        + "b, \"c\" taken for d (2, 50 %), a taken for b, \"c\" (1, 25 %).")
    var perfect = ConfusionMatrix(labels: ["a", "b"])
    perfect.add(label: 1, prediction: 1, count: 1_000_000)
    #expect(
      perfect.picture(title: "t").svg.summary
        == "2 rows (label) and as many columns (prediction). All counts are on the diagonal.")
  }
}
