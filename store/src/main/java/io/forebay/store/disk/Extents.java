package io.forebay.store.disk;

import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;

/**
 * Free room of one segment, in blocks of 4 KiB: first fit, neighbours joined. Not safe for threads.
 */
final class Extents {
  private final TreeMap<Integer, Integer> free = new TreeMap<>(); // start → length
  private int freeBlocks;

  Extents(int first, int end) {
    give(first, end - first);
  }

  int freeBlocks() {
    return freeBlocks;
  }

  OptionalInt take(int blocks) {
    OptionalInt fit = OptionalInt.empty();
    for (Map.Entry<Integer, Integer> hole : free.entrySet()) {
      if (hole.getValue() >= blocks) {
        fit = OptionalInt.of(hole.getKey());
        break;
      }
    }
    if (fit.isPresent()) {
      takeAt(fit.getAsInt(), blocks);
    }
    return fit;
  }

  /** Takes exactly this stretch; false when a part of it is not free. */
  boolean takeAt(int start, int blocks) {
    Map.Entry<Integer, Integer> hole = free.floorEntry(start);
    if (hole == null || hole.getKey() + hole.getValue() < start + blocks) {
      return false;
    }
    int holeStart = hole.getKey();
    int holeEnd = holeStart + hole.getValue();
    free.remove(holeStart);
    if (holeStart < start) {
      free.put(holeStart, start - holeStart);
    }
    if (start + blocks < holeEnd) {
      free.put(start + blocks, holeEnd - start - blocks);
    }
    freeBlocks -= blocks;
    return true;
  }

  void give(int start, int blocks) {
    if (blocks <= 0) {
      return;
    }
    freeBlocks += blocks;
    int from = start;
    int length = blocks;
    Map.Entry<Integer, Integer> before = free.floorEntry(start);
    if (before != null && before.getKey() + before.getValue() == start) {
      from = before.getKey();
      length += before.getValue();
      free.remove(from);
    }
    Integer after = free.get(start + blocks);
    if (after != null) {
      free.remove(start + blocks);
      length += after;
    }
    free.put(from, length);
  }
}
