#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCDatasets

/// The processor, the system and the libraries that a run used.
package struct Machine: Sendable {
  package var processor: String
  /// Kernel, its version and the architecture.
  package var system: String
  package var libraries: [(name: String, version: String)]

  package init() {
    var names = utsname()
    uname(&names)
    let architecture = Self.text(names.machine)
    system = "\(Self.text(names.sysname)) \(Self.text(names.release)) \(architecture)"
    processor = Self.processorName() ?? architecture
    libraries = [("swift", Self.compiler), ("zlib", zlibLibraryVersion())]
    #if canImport(Glibc)
      var version = [CChar](repeating: 0, count: 64)
      confstr(Int32(_CS_GNU_LIBC_VERSION), &version, version.count)
      // "glibc 2.36"
      let words = Self.text(version[...]).split(separator: " ").map(String.init)
      if words.count == 2 { libraries.append((words[0], words[1])) }
    #endif
  }

  /// The compiler that the package was built with, as far as a program can know its own: only by comparison.
  private static var compiler: String {
    #if compiler(>=6.4)
      "6.4 or later"
    #elseif compiler(>=6.3.2)
      "6.3.2 or later"
    #elseif compiler(>=6.3.1)
      "6.3.1"
    #elseif compiler(>=6.3)
      "6.3"
    #else
      "before 6.3"
    #endif
  }

  /// The characters up to the first zero.
  private static func text(_ characters: ArraySlice<CChar>) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// The characters up to the first zero of a C array, which Swift sees as a tuple.
  private static func text(_ characters: some BitwiseCopyable) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// What the system calls the first processor.
  private static func processorName() -> String? {
    #if canImport(Darwin)
      var size = 0
      guard sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0) == 0, size > 1 else { return nil }
      var name = [UInt8](repeating: 0, count: size)
      guard sysctlbyname("machdep.cpu.brand_string", &name, &size, nil, 0) == 0 else { return nil }
      return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    #else
      guard let file = fopen("/proc/cpuinfo", "r") else { return nil }
      defer { fclose(file) }
      var line = [CChar](repeating: 0, count: 1024)
      while fgets(&line, Int32(line.count), file) != nil {
        let text = Self.text(line[...])
        guard text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") else { continue }
        return text[text.index(after: colon)...].split(whereSeparator: \.isWhitespace).joined(separator: " ")
      }
      return nil
    #endif
  }
}
