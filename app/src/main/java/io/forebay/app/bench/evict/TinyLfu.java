package io.forebay.app.bench.evict;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;

/**
 * W-TinyLFU as Caffeine has it, which draws some chance of its own: figures differ in the third
 * digit.
 */
final class TinyLfu implements Policy {
  private final Cache<Integer, Boolean> cache;

  TinyLfu(int most) {
    this.cache = Caffeine.newBuilder().maximumSize(most).executor(Runnable::run).build();
  }

  @Override
  public boolean use(int chunk) {
    return cache.getIfPresent(chunk) != null;
  }

  @Override
  public void add(int chunk) {
    cache.put(chunk, true);
  }

  @Override
  public void drop(int chunk) {
    cache.invalidate(chunk);
  }
}
