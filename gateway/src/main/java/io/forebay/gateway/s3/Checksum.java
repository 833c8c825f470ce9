package io.forebay.gateway.s3;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Locale;
import java.util.Optional;
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
