import Foundation
import Testing

/// The documentation's code is compiled and run, and prints what the documentation says.
@Suite struct PageTests {
  /// Lines in order, block after block, but for blanks; imports anywhere.
  @Test(arguments: Page.all) func `swift code is that of the page's program`(_ page: Page) throws {
    let code = page.blocks("swift")
    guard !code.isEmpty else { return }
    let file = Page.programs.appendingPathComponent("\(page.name).swift")
    let program = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(words)
      .filter { !$0.isEmpty }
    var rest = program[...]
    for block in code {
      let lines = block.lines.map(words).filter { !$0.isEmpty }
      let imports = lines.filter { $0.hasPrefix("import ") }
      for line in imports where !program.contains(line) {
        Issue.record("\(page.name).md:\(block.line): \(file.lastPathComponent) has no \(line)")
      }
      guard let end = end(of: lines.filter { !imports.contains($0) }, in: rest) else {
        Issue.record("\(page.name).md:\(block.line) is not in \(file.lastPathComponent), or not in this order")
        continue
      }
      rest = rest[end...]
    }
  }

  /// A block in any other language would be run by nothing.
  @Test(arguments: Page.all) func `every block says what it is`(_ page: Page) {
    let isRoot = ["README", "CONTRIBUTING"].contains(page.name)
    let languages = ["swift", "sh", "csv", "text"] + (isRoot ? [""] : [])
    for block in page.blocks where !languages.contains(block.language) {
      Issue.record("\(page.name).md:\(block.line) is in “\(block.language)”, not in one of \(languages)")
    }
    for block in page.blocks where block.lines.isEmpty { Issue.record("\(page.name).md:\(block.line) is empty") }
  }

  @Test func `all pages are here`() {
    #expect(Page.all.contains { $0.name == "README" } && Page.all.contains { $0.name == "FromMathematicsToModel" })
  }

  // MARK: Programs, each in a process and a folder of its own

  @Test func `the readme's program`() async {
    await #expect(processExitsWith: .success) { try README.run() }
  }

  @Test func `the contributor's operation`() async {
    await #expect(processExitsWith: .success) { try CONTRIBUTING.run() }
  }

  @Test func `the front page's program`() async {
    await #expect(processExitsWith: .success) { try PredictiveCodingPage.run() }
  }

  @Test func `from mathematics to a model`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      try FromMathematicsToModel.run()
    }
    try expectOutputs(of: "FromMathematicsToModel", result)
  }

  @Test func `your own data`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      try YourOwnData.run()
    }
    try expectOutputs(of: "YourOwnData", result)
  }

  @Test func `your own operation`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      try YourOwnOperation.run()
    }
    try expectOutputs(of: "YourOwnOperation", result)
  }

  @Test func `resuming a run`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      try ResumingARun.run()
    }
    try expectOutputs(of: "ResumingARun", result)
  }

  @Test func `reading the report`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      try ReadingTheReport.run()
    }
    try expectOutputs(of: "ReadingTheReport", result)
  }

  @Test func `choosing rule and solver`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      try ChoosingRuleAndSolver.run()
    }
    try expectOutputs(of: "ChoosingRuleAndSolver", result)
  }

  @Test func `why it is fast`() async {
    await #expect(processExitsWith: .success) { try WhyItIsFast.run() }
  }

  /// Every block of text on the page was printed, in order.
  private func expectOutputs(of name: String, _ result: ExitTest.Result?) throws {
    let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    var rest = output.split(separator: "\n").map(words).filter { !$0.isEmpty }[...]
    for block in try Page(name).blocks("text") {
      guard let end = end(of: block.lines.map(words).filter { !$0.isEmpty }, in: rest) else {
        Issue.record("\(name).md:\(block.line) was not printed; what was is\n\(output)")
        continue
      }
      rest = rest[end...]
    }
  }
}

/// A line's words, with one blank between them.
private func words(_ line: some StringProtocol) -> String { line.split(separator: " ").joined(separator: " ") }

/// The place after the first occurrence of `lines`, one after the other.
private func end(of lines: [String], in text: ArraySlice<String>) -> Int? {
  (text.startIndex...max(text.endIndex - lines.count, text.startIndex))
    .first { text[$0...].prefix(lines.count).elementsEqual(lines) }
    .map { $0 + lines.count }
}
