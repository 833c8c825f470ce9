package io.forebay.app.demo;

import io.forebay.app.runtime.JdkEnv;
import io.forebay.backing.StoreFactory;
import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.bytes.SlabPool;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Map;
import java.util.Optional;

/** What an object store has, read past all nodes. Used by one thread. */
public final class StoreContents implements AutoCloseable {
  private static final int SLAB_BYTES = 1 << 20;
  private static final int SLABS = 4;

  private final JdkEnv env =
      new JdkEnv(escaped -> {
        throw new IllegalStateException(escaped);
      });
  private final SlabPool pool = new SlabPool(env, SLAB_BYTES, SLABS);
  private final ObjectStore store;

  StoreContents(String url, Map<String, String> environment) {
    this.store = StoreFactory.open(url, environment);
  }

  /** Whether there is an object of that key, as the store knows it: {@code BUCKET/KEY}. */
  public boolean has(String key) {
    return store.head(key).isPresent();
  }

  /**
   * Copies an object.
   *
   * @param key as the store knows it: {@code BUCKET/KEY}
   * @return false where there is none, or it changed meanwhile; a part of it may be copied then
   */
  public boolean copy(String key, OutputStream target) throws IOException {
    Optional<StoreObject> object = store.head(key);
    if (object.isEmpty()) {
      return false;
    }
    for (long offset = 0; offset < object.get().lengthBytes(); ) {
      int length = (int) Math.min(SLAB_BYTES, object.get().lengthBytes() - offset);
      if (!(store.read(key, offset, length, Optional.of(object.get().etag()), pool)
          instanceof ObjectStore.ReadResult.Data(var bytes))) {
        return false;
      }
      target.write(bytes.toArray());
      bytes.release();
      offset += length;
    }
    return true;
  }

  @Override
  public void close() {
    store.close();
    env.close();
  }
}
