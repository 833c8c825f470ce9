package io.forebay.gateway.s3;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.zip.CRC32;
import java.util.zip.CRC32C;

/** A checksum that a client sends along, being computed over the bytes as they pass. */
sealed interface Checksum {
  /** Takes the next bytes; moves the buffer's position. */
  void update(ByteBuffer bytes);

  /** The checksum, big endian; called once. */
  byte[] value();

  /** What every header and trailer of this kind begins with. */
  String PREFIX = "x-amz-checksum-";

  /** The header that says how an upload's parts make the object's checksum. */
  String TYPE = PREFIX + "type";

  /** The header that says which checksum an upload is to have. */
  String ALGORITHM = PREFIX + "algorithm";

  String FULL_OBJECT = "FULL_OBJECT";
  String COMPOSITE = "COMPOSITE";

  /** The headers that carry a checksum. */
  List<String> HEADERS =
      List.of(
          PREFIX + "crc32",
          PREFIX + "crc32c",
          PREFIX + "crc64nvme",
          PREFIX + "sha1",
          PREFIX + "sha256");

  /** What the kind is called where S3 names algorithms: CRC32C for x-amz-checksum-crc32c. */
  static String algorithm(String header) {
    return header.substring(PREFIX.length()).toUpperCase(Locale.ROOT);
  }

  /** The XML element of the kind: ChecksumCRC32C for x-amz-checksum-crc32c. */
  static String element(String header) {
    return "Checksum" + algorithm(header);
  }

  /** The checksums among headers, by header. */
  static Map<String, String> among(Map<String, String> headers) {
    if (headers.isEmpty()) {
      return headers;
    }
    var found = new TreeMap<String, String>();
    for (String header : HEADERS) {
      String value = headers.get(header);
      if (value != null) {
        found.put(header, value);
      }
    }
    return found;
  }

  /** Writes the checksums among headers as elements. */
  static void write(XmlText xml, Map<String, String> headers) {
    among(headers).forEach((header, value) -> xml.leaf(element(header), value));
  }

  /** The one that a header such as x-amz-checksum-crc32 names; empty: none that there is. */
  static Optional<Checksum> ofHeader(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case PREFIX + "crc32" -> Optional.of(new Crc(new CRC32()));
      case PREFIX + "crc32c" -> Optional.of(new Crc(new CRC32C()));
      case PREFIX + "crc64nvme" -> Optional.of(new Crc64(new Crc64Nvme()));
      case PREFIX + "sha1" -> Optional.of(new Digest(Sha256.digest("SHA-1")));
      case PREFIX + "sha256" -> Optional.of(new Digest(Sha256.digest("SHA-256")));
      default -> Optional.empty();
    };
  }

  /** A CRC of 32 bits. */
  record Crc(java.util.zip.Checksum crc) implements Checksum {
    @Override
    public void update(ByteBuffer bytes) {
      crc.update(bytes);
    }

    @Override
    public byte[] value() {
      return ByteBuffer.allocate(4).putInt((int) crc.getValue()).array();
    }
  }

  /** CRC-64/NVME. */
  record Crc64(Crc64Nvme crc) implements Checksum {
    @Override
    public void update(ByteBuffer bytes) {
      crc.update(bytes);
    }

    @Override
    public byte[] value() {
      return ByteBuffer.allocate(8).putLong(crc.value()).array();
    }
  }

  /** A cryptographic digest. */
  record Digest(MessageDigest digest) implements Checksum {
    @Override
    public void update(ByteBuffer bytes) {
      digest.update(bytes);
    }

    @Override
    public byte[] value() {
      return digest.digest();
    }
  }
}
