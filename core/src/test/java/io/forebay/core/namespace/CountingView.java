package io.forebay.core.namespace;

import io.forebay.core.sorted.SortedMap;
import java.util.Optional;
import java.util.function.Predicate;

/** Counts the rows that scans pass, and hides those whose value says so. */
final class CountingView implements SortedMap.View {
  private final SortedMap.View view;
  private final Predicate<byte[]> shown;
  long visits;

  CountingView(SortedMap.View view) {
    this(view, value -> true);
  }

  CountingView(SortedMap.View view, Predicate<byte[]> shown) {
    this.view = view;
    this.shown = shown;
  }

  @Override
  public Optional<byte[]> get(byte[] key) {
    return view.get(key).filter(shown);
  }

  @Override
  public void scan(byte[] from, byte[] to, SortedMap.Visitor visitor) {
    view.scan(
        from,
        to,
        (key, value) -> {
          visits++;
          return !shown.test(value) || visitor.visit(key, value);
        });
  }

  @Override
  public void close() {
    view.close();
  }
}
