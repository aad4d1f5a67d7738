#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Says once, on standard error, that a build without optimisation is many times slower.
public func warnIfUnoptimized() {
  #if DEBUG
    _ = warning
  #endif
}

#if DEBUG
  private let warning: Void = {
    let text = "warning: built without optimisation, which makes training about 15 times slower; use -c release\n"
    _ = text.withCString { write(2, $0, strlen($0)) }
  }()
#endif
