#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCDatasets
import PCInterchange
import PCLearning

// Each takes any bytes and returns 0; libFuzzer looks for traps, bad addresses, leaks, and memory beyond its limit.

/// NumPy's npy.
@_cdecl("pc_fuzz_npy")
public func fuzzNPY(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  _ = try? NamedArray(decodingNPY: array(bytes, count), name: "x", source: "fuzz")
  return 0
}

/// safetensors; what is read can be written and read again.
@_cdecl("pc_fuzz_safetensors")
public func fuzzSafetensors(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let file = try? Safetensors(decoding: array(bytes, count), source: "fuzz") else { return 0 }
  do {
    let again = try Safetensors(decoding: file.encoded(), source: "fuzz")
    guard again.arrays.count == file.arrays.count else { fatalError("arrays were lost") }
  } catch { fatalError("what was read cannot be written and read again: \(error)") }
  return 0
}

/// A checkpoint of a training run.
@_cdecl("pc_fuzz_checkpoint")
public func fuzzCheckpoint(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  withFile(array(bytes, count)) { _ = try Checkpoint(path: $0) }
}

/// IDX images and labels, packed or not: the first byte says where one file ends and the other begins.
@_cdecl("pc_fuzz_idx")
public func fuzzIDX(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let all = array(bytes, count)
  guard let first = all.first else { return 0 }
  let split = 1 + (all.count - 1) * Int(first) / 255
  return withFile(Array(all[1..<split])) { images in
    _ = withFile(Array(all[split...])) { labels in
      _ = try Dataset(name: "fuzz", idxImages: images, idxLabels: labels)
    }
  }
}

/// MATLAB's level 5 format.
@_cdecl("pc_fuzz_mat")
public func fuzzMAT(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  withFile(array(bytes, count)) { _ = try MATFile(path: $0) }
}

/// NumPy's archives of arrays.
@_cdecl("pc_fuzz_npz")
public func fuzzNPZ(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  withFile(array(bytes, count), ending: ".npz") {
    let file = try NPZFile(path: $0)
    for name in file.names { _ = try? file.array(name) }
    _ = try ArrayFiles($0).load()
  }
}

/// Tables.
@_cdecl("pc_fuzz_csv")
public func fuzzCSV(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  withFile(array(bytes, count), ending: ".csv") {
    _ = try? ArrayFiles($0, labelColumn: "a").load()
    let split = try ArrayFiles($0).load()
    guard split.training.count > 0, split.test.count > 0 else { fatalError("a part is empty") }
  }
}

/// A text.
@_cdecl("pc_fuzz_text")
public func fuzzText(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  withFile(array(bytes, count)) {
    let text = try CharacterText(path: $0)
    guard text.decode(text.codes).unicodeScalars.count == text.codes.count else { fatalError("characters were lost") }
    _ = try text.training.windows(3, batchSize: 1)
  }
}

private func array(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
  Array(UnsafeBufferPointer(start: bytes, count: count))
}

/// Runs `body` on a file that holds the bytes, in memory where the system has a place for that.
private func withFile(_ bytes: [UInt8], ending: String = "", _ body: (String) throws -> Void) -> CInt {
  number += 1
  let path = (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + "/pc-fuzz-\(getpid())-\(number % 4)\(ending)"
  let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
  guard file >= 0 else { fatalError("\(path) cannot be opened: \(errno)") }
  do { try writeAll(bytes, to: file, path) } catch { fatalError("\(error)") }
  close(file)
  try? body(path)
  unlink(path)
  return 0
}

/// libFuzzer calls from one thread alone.
nonisolated(unsafe) private var number = 0
