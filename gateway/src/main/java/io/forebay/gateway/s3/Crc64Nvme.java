package io.forebay.gateway.s3;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * CRC-64/NVME (NVM Express NVM Command Set Specification 1.0, section 5.2.1.3.4; polynomial
 * AD93D23594C93659 reflected), eight bytes at a step.
 */
final class Crc64Nvme {
  private static final long POLYNOMIAL = 0x9A6C9329AC4BC9B5L;
  // TABLES[k][b]: the CRC of byte b followed by k zero bytes.
  private static final long[][] TABLES = tables();

  private long crc = -1L;

  void update(ByteBuffer bytes) {
    ByteBuffer words = bytes.order(ByteOrder.LITTLE_ENDIAN);
    long state = crc;
    while (words.remaining() >= 8) {
      long word = words.getLong() ^ state;
      state = 0;
      for (int k = 7; k >= 0; k--) {
        state ^= TABLES[k][(int) (word & 0xFF)];
        word >>>= 8;
      }
    }
    while (words.hasRemaining()) {
      state = (state >>> 8) ^ TABLES[0][(int) ((state ^ words.get()) & 0xFF)];
    }
    crc = state;
  }

  long value() {
    return ~crc;
  }

  private static long[][] tables() {
    var tables = new long[8][256];
    for (int b = 0; b < 256; b++) {
      long state = b;
      for (int bit = 0; bit < 8; bit++) {
        state = (state & 1) == 0 ? state >>> 1 : (state >>> 1) ^ POLYNOMIAL;
      }
      tables[0][b] = state;
    }
    for (int k = 1; k < 8; k++) {
      for (int b = 0; b < 256; b++) {
        long before = tables[k - 1][b];
        tables[k][b] = (before >>> 8) ^ tables[0][(int) (before & 0xFF)];
      }
    }
    return tables;
  }
}
