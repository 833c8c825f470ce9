package io.forebay.core.bytes;

/**
 * CRC32C of a concatenation from the CRC32Cs of its parts, without the bytes: appending n zero
 * bytes to a message is a linear map over GF(2), applied here by repeated squaring (the method of
 * zlib's crc32_combine, with Castagnoli's polynomial). Costs about 20 matrix products for parts of
 * a megabyte; use it per slice.
 */
public final class Crc32cCombiner {
  private static final int POLYNOMIAL = 0x82F63B78;
  // SQUARES[k] maps a CRC over 2^k zero bytes.
  private static final int[][] SQUARES = squares();

  private Crc32cCombiner() {}

  /**
   * The CRC32C of A followed by B.
   *
   * @param crcA CRC32C of A
   * @param crcB CRC32C of B
   * @param lengthB bytes in B, at least 0
   */
  public static int combine(int crcA, int crcB, long lengthB) {
    int crc = crcA;
    long left = lengthB;
    for (int k = 0; left != 0; k++, left >>>= 1) {
      if ((left & 1) != 0) {
        crc = times(SQUARES[k], crc);
      }
    }
    return crc ^ crcB;
  }

  private static int[][] squares() {
    int[] bit = new int[32];
    bit[0] = POLYNOMIAL;
    for (int i = 1; i < 32; i++) {
      bit[i] = 1 << (i - 1);
    }
    int[] byteMap = square(square(square(bit)));
    int[][] all = new int[63][];
    all[0] = byteMap;
    for (int k = 1; k < all.length; k++) {
      all[k] = square(all[k - 1]);
    }
    return all;
  }

  private static int[] square(int[] matrix) {
    int[] result = new int[32];
    for (int i = 0; i < 32; i++) {
      result[i] = times(matrix, matrix[i]);
    }
    return result;
  }

  private static int times(int[] matrix, int vector) {
    int sum = 0;
    int left = vector;
    for (int i = 0; left != 0; i++, left >>>= 1) {
      if ((left & 1) != 0) {
        sum ^= matrix[i];
      }
    }
    return sum;
  }
}
