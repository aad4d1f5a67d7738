import Foundation
import PCDatasets
import PCInterchange
import Testing

/// Scripts/unreliable-server.py, which ends when its input does: with this value.
private final class UnreliableServer {
  let port: Int
  private let process = Process()
  private let input = Pipe()

  init() throws {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Scripts/unreliable-server.py")
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", script.path]
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  func file(_ how: String, size: Int = 5000) -> PublishedFile {
    PublishedFile(
      name: "file.bin", address: "http://127.0.0.1:\(port)/\(how)/\(size)", size: size, digest: digest(size))
  }
}

/// What the server's script says that it sends.
private func body(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(($0 * $0 + $0 / 256) % 251) } }

private func digest(_ size: Int) -> String { SHA256.digest(of: body(size)) }

private func hasProgram(_ name: String) -> Bool {
  (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
    FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
  }
}

@Suite(.enabled(if: hasProgram("curl") && hasProgram("python3"), "curl and python3 are needed"))
struct DownloadTests {
  private let server: UnreliableServer
  private let folder: TemporaryFolder

  init() throws {
    server = try UnreliableServer()
    folder = try TemporaryFolder()
  }

  private func bytes(_ name: String = "file.bin") throws -> [UInt8] {
    try Array(Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/data/\(name)")))
  }

  private func fetch(_ file: PublishedFile, attempts: Int = 5) throws {
    try file.fetch(into: folder.path + "/data", attempts: attempts, stallSeconds: 2)
  }

  private func refusal(_ file: PublishedFile, attempts: Int = 1) -> String? {
    let error = #expect(throws: DownloadError.self) { try fetch(file, attempts: attempts) }
    return error?.description
      .replacingOccurrences(of: "http://127.0.0.1:\(server.port)", with: "server")
  }

  private func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path + "/data").sorted()
  }

  /// Five answers of 1000 bytes, each going on where the one before broke off; a server that cannot do so sends all again.
  @Test(arguments: ["good", "redirect", "truncate", "stall", "norange"]) func wholeFilesArrive(how: String) throws {
    try fetch(server.file(how))
    #expect(try bytes() == body(5000))
    #expect(try names() == ["file.bin"])
    #expect(try server.file(how).state(in: folder.path + "/data") == .whole)
    // What is there is not fetched again: nobody answers at port 1.
    let elsewhere = PublishedFile(name: "file.bin", address: "http://127.0.0.1:1/", size: 5000, digest: digest(5000))
    try fetch(elsewhere)
  }

  @Test func aLaterFetchGoesOn() throws {
    let file = server.file("truncate")
    #expect(
      refusal(file, attempts: 2)?.hasSuffix(
        "; 2000 of 5000 bytes are kept, and the next fetch goes on from there.") == true)
    #expect(try names() == [".file.bin.part"])
    #expect(try file.state(in: folder.path + "/data") == .partial(2000))
    #expect(try bytes(".file.bin.part") == Array(body(5000).prefix(2000)))
    try fetch(file, attempts: 3)
    #expect(try bytes() == body(5000))
  }

  /// A part that is not the file's beginning shows in the digest, and is not kept for ever.
  @Test func aWrongPartIsThrownAway() throws {
    try folder.write("data/.file.bin.part", [UInt8](repeating: 7, count: 100))
    #expect(refusal(server.file("good"))?.contains("does not send the published file") == true)
    try fetch(server.file("good"), attempts: 1)
    #expect(try bytes() == body(5000))
    try FileManager.default.removeItem(atPath: folder.path + "/data/file.bin")
    try folder.write("data/.file.bin.part", [UInt8](repeating: 7, count: 6000))
    try fetch(server.file("good"), attempts: 1)
    #expect(try bytes() == body(5000))
  }

  @Test func otherFilesAreRefused() throws {
    let corrupt = refusal(server.file("corrupt"), attempts: 3)
    #expect(
      corrupt?.hasPrefix("server/corrupt/5000 does not send the published file: its SHA-256 digest is ") == true)
    #expect(corrupt?.hasSuffix(", not \(digest(5000)); nothing was kept.") == true)
    #expect(try names() == [])
    #expect(refusal(server.file("longer"), attempts: 2) != nil)
    #expect(try names() == [])
  }

  @Test(arguments: ["missing", "circle", "file"]) func addressesThatLeadNowhere(how: String) throws {
    let message = refusal(server.file(how), attempts: 2)
    #expect(message?.hasPrefix("server/\(how)/5000 could not be fetched (curl: (") == true, "\(message ?? "")")
    #expect(try !FileManager.default.fileExists(atPath: folder.path + "/data/file.bin"))
  }

  @Test func whatIsThereStays() throws {
    try folder.write("data/file.bin", [1, 2, 3])
    #expect(
      refusal(server.file("good"))
        == "\(folder.path)/data/file.bin is there with 3 bytes instead of 5000; move it away or remove it.")
    try folder.write("data/file.bin", [UInt8](repeating: 0, count: 5000))
    #expect(refusal(server.file("good"))?.contains("with the SHA-256 digest ") == true)
    #expect(try bytes() == [UInt8](repeating: 0, count: 5000))
  }

  @Test func withoutCurl() throws {
    let error = #expect(throws: DownloadError.self) {
      try server.file("good").fetch(into: folder.path + "/data", curl: "no-such-curl")
    }
    #expect(
      error?.description
        == "Files are fetched by the program no-such-curl, which is not here; install it, or download the files yourself."
    )
  }

  @Test func foldersThatCannotBeMade() throws {
    try folder.write("file", [1])
    #expect(throws: FileError.self) { try server.file("good").fetch(into: folder.path + "/file/below") }
  }
}

@Suite struct PublishedFilesTests {
  /// MNIST's files on this machine against the table; every other entry by its form.
  @Test func theTableIsThatOfThePublishers() throws {
    for dataset in NamedDataset.allCases {
      for file in dataset.publishedFiles {
        #expect(
          file.digest.count == 64 && file.digest.allSatisfy { $0.isHexDigit && !$0.isUppercase }, "\(file.name)")
        #expect(file.size > 0 && file.address.hasSuffix(file.name))
      }
      #expect(dataset.publishedFiles.isEmpty == (dataset == .digits))
    }
    guard let publishedData else { return }
    for file in NamedDataset.mnist.publishedFiles {
      #expect(try file.state(in: publishedData + "/mnist") == .whole, "\(file.name)")
    }
  }
}
