package io.forebay.core.namespace;

import io.forebay.core.id.ChunkId;
import io.forebay.core.id.SessionId;
import io.forebay.core.namespace.Manifest.Segment;
import io.forebay.core.namespace.Rows.SessionRow;
import io.forebay.core.rule.Rule;
import io.forebay.core.sorted.Overlay;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Which generation or part names which chunk, and whether it owes it. One row per (session, block
 * of 64 sequences, owner) holds two bitmaps: chunks that the owner owes, and chunks that it only
 * remembers because the store has the bytes. So a question about a chunk reads the rows of one
 * block, and an object of 64 chunks in a row costs one.
 */
final class Claims {
  private static final int BLOCK = 64;

  private Claims() {}

  private record Block(SessionId session, long number) implements Comparable<Block> {
    @Override
    public int compareTo(Block other) {
      int order = session.compareTo(other.session);
      return order != 0 ? order : Long.compare(number, other.number);
    }
  }

  /** All chunks that a manifest names: owed ones at index 0, remembered ones at 1. */
  private static Map<Block, long[]> chunks(Manifest manifest) {
    var blocks = new TreeMap<Block, long[]>();
    collect(manifest, 0, blocks);
    return blocks;
  }

  private static void collect(Manifest manifest, int which, Map<Block, long[]> blocks) {
    switch (manifest) {
      case Manifest.Inline inline -> {}
      case Manifest.None none -> {}
      case Manifest.Extents list -> list.extents().forEach(e -> add(e.chunk(), which, blocks));
      case Manifest.InChunk hidden -> {
        add(hidden.list().chunk(), which, blocks);
        for (ChunkRange range : hidden.ranges()) {
          for (long at = range.from(); at < range.to(); ) {
            long block = at / BLOCK;
            long end = Math.min(range.to(), (block + 1) * BLOCK);
            long[] bits =
                blocks.computeIfAbsent(new Block(range.session(), block), b -> new long[2]);
            for (; at < end; at++) {
              bits[which] |= 1L << (at % BLOCK);
            }
          }
        }
      }
      case Manifest.Stored stored -> collect(stored.hint(), 1, blocks);
      case Manifest.Joined joined -> {
        for (Segment segment : joined.segments()) {
          collect(segment.manifest(), which, blocks);
        }
      }
    }
  }

  private static void add(ChunkId chunk, int which, Map<Block, long[]> blocks) {
    blocks
            .computeIfAbsent(
                new Block(chunk.session(), chunk.sequence() / BLOCK), b -> new long[2])[which] |=
        1L << (chunk.sequence() % BLOCK);
  }

  static void put(Overlay out, long owner, Manifest manifest) {
    chunks(manifest)
        .forEach((block, bits) ->
            out.put(
                Keys.claim(block.session, block.number, owner),
                ByteBuffer.allocate(16).putLong(bits[0]).putLong(bits[1]).array()));
  }

  static void remove(Overlay out, long owner, Manifest manifest) {
    for (Block block : chunks(manifest).keySet()) {
      out.remove(Keys.claim(block.session, block.number, owner));
    }
  }

  /** The owner's bytes are in the store: it owes nothing any more. */
  static void clean(Overlay out, long owner, Manifest manifest) {
    chunks(manifest)
        .forEach((block, bits) ->
            out.put(
                Keys.claim(block.session, block.number, owner),
                ByteBuffer.allocate(16).putLong(0).putLong(bits[0] | bits[1]).array()));
  }

  /**
   * The chunks that a publish of this session may not name (rule G3): neither its own at or above
   * its low-water mark nor owed.
   */
  static List<ChunkRange> notOwed(
      SortedMap.View view, SessionId session, long lowWater, Manifest manifest) {
    var refused = new ArrayList<ChunkRange>();
    chunks(manifest)
        .forEach((block, bits) -> {
          long owed = rows(view, block)[0];
          for (int bit = 0; bit < BLOCK; bit++) {
            long sequence = block.number * BLOCK + bit;
            boolean own = block.session.equals(session) && sequence >= lowWater;
            if ((bits[0] >>> bit & 1) == 1 && !own && (owed >>> bit & 1) == 0) {
              append(refused, block.session, sequence);
            }
          }
        });
    return refused;
  }

  private static void append(List<ChunkRange> ranges, SessionId session, long sequence) {
    if (!ranges.isEmpty()) {
      ChunkRange last = ranges.getLast();
      if (last.session().equals(session)
          && last.to() == sequence
          && last.to() - last.from() < ChunkRange.MAX_CHUNKS) {
        ranges.set(ranges.size() - 1, new ChunkRange(session, last.from(), sequence + 1));
        return;
      }
    }
    ranges.add(new ChunkRange(session, sequence, sequence + 1));
  }

  private static long[] rows(SortedMap.View view, Block block) {
    var bits = new long[2];
    byte[] prefix = Keys.claims(block.session, block.number);
    view.scan(
        prefix,
        Keys.behind(prefix),
        (key, value) -> {
          ByteBuffer row = ByteBuffer.wrap(value);
          bits[0] |= row.getLong();
          bits[1] |= row.getLong();
          return true;
        });
    return bits;
  }

  /** Rules G1 and G5. */
  static List<ChunkState> states(SortedMap.View view, List<ChunkId> chunks, long lastId) {
    var wanted = new TreeSet<Block>();
    chunks.forEach(c -> wanted.add(new Block(c.session(), c.sequence() / BLOCK)));
    var blocks = new TreeMap<Block, long[]>();
    var passed = new TreeMap<SessionId, Long>(); // sequences below are passed
    for (Block block : wanted) {
      blocks.put(block, rows(view, block));
      passed.computeIfAbsent(block.session, session -> passed(view, session, lastId));
    }
    var states = new ArrayList<ChunkState>(chunks.size());
    for (ChunkId chunk : chunks) {
      long[] bits = blocks.get(new Block(chunk.session(), chunk.sequence() / BLOCK));
      long below = passed.getOrDefault(chunk.session(), 0L);
      long bit = 1L << (chunk.sequence() % BLOCK);
      if (bits == null || (chunk.sequence() >= below && Rule.G5_OPEN.holds())) {
        states.add(ChunkState.OPEN);
      } else if ((bits[0] & bit) != 0 && (Rule.G1.holds() || (bits[1] & bit) == 0)) {
        states.add(ChunkState.OWED);
      } else {
        states.add((bits[1] & bit) != 0 ? ChunkState.CLEAN : ChunkState.GARBAGE);
      }
    }
    return states;
  }

  /** Nothing of an unknown session is passed: it may be opened later than this view (rule G5). */
  private static long passed(SortedMap.View view, SessionId session, long lastId) {
    boolean sameShard = session.value() >>> 48 == lastId >>> 48;
    if ((!sameShard || Long.compareUnsigned(session.value(), lastId) > 0) && Rule.G5.holds()) {
      return 0;
    }
    return Rows.get(view, Keys.of(Keys.SESSION, session.value()), SessionRow.class)
        .map(SessionRow::lowWater)
        .orElse(Long.MAX_VALUE);
  }
}
