package io.forebay.gateway.s3;

/**
 * CRCs of a concatenation from those of its parts, without the bytes: appending n zero bytes
 * multiplies a CRC by x^8n modulo its polynomial (the method of zlib's crc32_combine since 1.2.12).
 * Some hundred shifts for each part. {@link io.forebay.core.bytes.Crc32cCombiner} does one of the
 * three from tables, for slices.
 */
enum CrcCombiner {
  CRC32(0xEDB88320L, 32),
  CRC32C(0x82F63B78L, 32),
  CRC64NVME(0x9A6C9329AC4BC9B5L, 64);

  private final long polynomial; // reflected
  private final long one; // x^0 is the top bit

  @SuppressWarnings("ImmutableEnumChecker") // written by the constructor only
  private final long[] squares = new long[64]; // x^(2^k)

  CrcCombiner(long polynomial, int bits) {
    this.polynomial = polynomial;
    this.one = 1L << (bits - 1);
    squares[0] = one >>> 1;
    for (int k = 1; k < squares.length; k++) {
      squares[k] = times(squares[k - 1], squares[k - 1]);
    }
  }

  /**
   * The CRC of A followed by B.
   *
   * @param lengthB bytes in B, less than 2^60
   */
  long combine(long crcA, long crcB, long lengthB) {
    long factor = one;
    int k = 3; // bytes to bits
    for (long left = lengthB; left != 0; left >>>= 1, k++) {
      if ((left & 1) != 0) {
        factor = times(squares[k], factor);
      }
    }
    return times(factor, crcA) ^ crcB;
  }

  /** The product; the first factor is a power of x, so never 0. */
  private long times(long a, long b) {
    long product = 0;
    long shifted = b;
    for (long bit = one; bit != 0; bit >>>= 1) {
      if ((a & bit) != 0) {
        product ^= shifted;
      }
      shifted = (shifted & 1) != 0 ? (shifted >>> 1) ^ polynomial : shifted >>> 1;
    }
    return product;
  }
}
