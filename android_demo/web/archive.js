// The zip archive at the end of a model file, as far as `fflate` does not tell of it.

const END = 0x06054b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;

/** Bytes of the graph, which lies before the first member; undefined where the archive does not end the file. */
export function graphBytesOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = bytes.length - END_BYTES;
  if (end < 0 || view.getUint32(end, true) !== END) return undefined;
  let at = view.getUint32(end + 16, true);
  let least = bytes.length;
  for (let left = view.getUint16(end + 10, true); left > 0; --left) {
    if (at > end - ENTRY_BYTES) return undefined;
    least = Math.min(least, view.getUint32(at + 42, true));
    const [name, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    at += ENTRY_BYTES + name + extra + comment;
  }
  return least;
}

const TABLE = Uint32Array.from({length: 256}, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320 ^ value >>> 1 : value >>> 1;
  return value;
});

/** The checksum of bytes that zip archives have. */
export function crc32(bytes) {
  let value = ~0;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ value >>> 8;
  return ~value >>> 0;
}
