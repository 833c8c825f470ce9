package io.forebay.core.id;

/**
 * Which life of a volume this is (rule R6). Two incarnations of one volume need not hold the same
 * chunks.
 *
 * @param disk drawn when the directory is formatted; a replaced or wiped disk has another
 * @param boot a hash of the machine's boot id, or 0 when everything acknowledged was synced to the
 *     device
 */
public record Incarnation(long disk, long boot) {
  @Override
  public String toString() {
    return Long.toHexString(disk) + "." + Long.toHexString(boot);
  }
}
