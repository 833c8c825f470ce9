package io.forebay.core.sorted;

import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * A view as it will be when a batch is applied: a command of a log entry sees what the commands
 * before it in the same entry changed. Closing it closes nothing: the view below belongs to the
 * caller.
 */
public final class OverlayView implements SortedMap.View {
  private final SortedMap.View below;
  private final Batch batch;

  public OverlayView(SortedMap.View below, Batch batch) {
    this.below = below;
    this.batch = batch;
  }

  @Override
  public Optional<byte[]> get(byte[] key) {
    return batch
        .latest(key)
        .map(change -> change.value().map(byte[]::clone))
        .orElseGet(() -> below.get(key));
  }

  @Override
  public <T> Optional<T> get(byte[] key, Function<byte[], T> decoding) {
    Optional<Batch.Change> change = batch.latest(key);
    return change.isPresent() ? change.get().value().map(decoding) : below.get(key, decoding);
  }

  @Override
  public void scan(byte[] from, byte[] to, SortedMap.Visitor visitor) {
    List<Batch.Change> changed = batch.latest(from, to);
    var merge = new Merge(changed.iterator(), visitor);
    below.scan(from, to, merge::visitBelow);
    merge.finish();
  }

  @Override
  public void close() {}

  private static final class Merge {
    private final Iterator<Batch.Change> changes;
    private final SortedMap.Visitor visitor;
    private Optional<Batch.Change> next;
    private boolean going = true;

    Merge(Iterator<Batch.Change> changes, SortedMap.Visitor visitor) {
      this.changes = changes;
      this.visitor = visitor;
      this.next = step();
    }

    private Optional<Batch.Change> step() {
      return changes.hasNext() ? Optional.of(changes.next()) : Optional.empty();
    }

    boolean visitBelow(byte[] key, byte[] value) {
      while (going && next.isPresent()) {
        int order = Arrays.compareUnsigned(next.get().key(), key);
        if (order > 0) {
          break;
        }
        visitChange(next.get());
        next = step();
        if (order == 0) {
          return going;
        }
      }
      going = going && visitor.visit(key, value);
      return going;
    }

    private void visitChange(Batch.Change change) {
      if (change.value().isPresent()) {
        going = visitor.visit(change.key().clone(), change.value().get().clone());
      }
    }

    void finish() {
      while (going && next.isPresent()) {
        visitChange(next.get());
        next = step();
      }
    }
  }
}
