package io.forebay.core.volume;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Durability;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.VolumeId;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * One data directory: keeps immutable chunks. Safe for all threads; blocking methods are for
 * virtual threads.
 *
 * <p>Not guaranteed: that an append which was not committed leaves anything behind, or nothing.
 */
public interface Volume extends AutoCloseable {
  /** Drawn when the directory was formatted. */
  VolumeId id();

  /** Which life of the volume this is (rule R6). */
  Incarnation incarnation();

  /** What it holds and may hold. */
  VolumeUsage usage();

  /**
   * Why the volume is to be turned out: its first fault in writing. From then on it takes no more
   * chunks, and what it holds may be read for as long as that works.
   */
  Optional<String> fault();

  /**
   * Begins a chunk and reserves its room.
   *
   * @param maxLengthBytes at least 1; the commit may be shorter
   * @throws io.forebay.core.error.ForebayException NO_SPACE naming the volume and the sizes; BUSY
   *     when too much waits to be written; IO_ERROR once there is a {@link #fault}
   */
  ChunkAppender append(
      ChunkId id, GroupId group, Epoch epoch, int maxLengthBytes, Durability durability);

  /** The chunk, if it is held. From memory. */
  Optional<StoredChunk> find(ChunkId id);

  /**
   * The chunks of a group, ascending by id. From memory.
   *
   * @param after only greater ids
   * @param max at least 1
   */
  List<StoredChunk> list(GroupId group, Optional<ChunkId> after, int max);

  /**
   * Returns once every chunk of a group that is held is whole. After a cut of the machine's power a
   * chunk that was not synced may be held by its name only; such ones are read through, and what is
   * torn is held no more. Else at once. Before the volume says of a group what it holds to others
   * that rely on it (rules R4, R5).
   *
   * @throws io.forebay.core.error.ForebayException UNAVAILABLE when the volume is closed meanwhile
   */
  void settle(GroupId group);

  /** The groups that have at least one chunk here, ascending. */
  List<GroupId> groups();

  /**
   * Reads a part of a chunk; the CRCs of the 64 KiB blocks that it touches are verified.
   *
   * @param length 1 to the pool's slab size
   * @param pool where the slab comes from
   * @return exactly that part; the caller releases it
   * @throws io.forebay.core.error.ForebayException CHUNK_ABSENT; CORRUPT; IO_ERROR
   */
  Bytes read(ChunkId id, int offset, int length, SlabPool pool);

  /**
   * Forgets chunks and frees their room. Idempotent. When it has returned they do not come back
   * after a crash of the process.
   */
  void delete(Collection<ChunkId> ids);

  @Override
  void close();
}
