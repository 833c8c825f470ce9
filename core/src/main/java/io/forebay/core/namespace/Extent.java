package io.forebay.core.namespace;

import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;

/**
 * A stretch of a file that lies in one chunk.
 *
 * @param fileOffset of its first byte, relative to the manifest that holds it
 * @param lengthBytes at least 1
 * @param chunkOffset of its first byte in the chunk
 * @param epoch in which the chunk was acknowledged: a replica behind it does not answer "absent"
 *     (rule R8)
 * @param crc32c of the extent's bytes
 */
public record Extent(
    long fileOffset,
    int lengthBytes,
    ChunkId chunk,
    int chunkOffset,
    GroupId group,
    Epoch epoch,
    int crc32c) {
  public Extent {
    if (fileOffset < 0 || lengthBytes < 1 || chunkOffset < 0) {
      throw new IllegalArgumentException(
          "extent of " + lengthBytes + " bytes at " + fileOffset + ", in the chunk " + chunkOffset);
    }
  }

  /** The offset behind its last byte. */
  public long end() {
    return fileOffset + lengthBytes;
  }
}
