package io.forebay.node.flush;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.FlushTask;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.StoreRef;
import io.forebay.core.namespace.StoreSight;
import io.forebay.core.net.FlushMessage;
import io.forebay.core.rule.Rule;
import io.forebay.node.read.ManifestReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The requests of one attempt, from its start to the verdict that is to be logged. Whatever may
 * change the key is sent once (a part changes nothing yet, and is tried again), under a lease that
 * is prolonged while the request is under way, so that "it has landed by lease + landing" holds for
 * every request (F2). Before that point a failure is definite, whatever it was; after it only what
 * the store itself refused.
 */
final class FlushSend {
  /** What is to be logged about the attempt. */
  sealed interface Verdict {
    /** The store has done it; the ETag is empty for a deletion. */
    record Done(String etag) implements Verdict {}

    /** It did not happen and cannot happen any more. */
    record Failed(ErrorCode code, String message) implements Verdict {}

    /** It may have happened, or may still, or something staged is left that was not dropped. */
    record Unresolved(ErrorCode code, String message) implements Verdict {}
  }

  /** What all attempts of a node share. */
  record Shared(
      Env env,
      ControlPlane plane,
      ManifestReader manifests,
      FlushSettings settings,
      Permits parts,
      PartStager stager) {}

  /** Tries of one part: over some 8 to 16 seconds. */
  private static final int STAGE_TRIES = 6;

  private static final long FIRST_STAGE_PAUSE_NANOS = 500_000_000L;
  private static final long TROUBLED_NANOS = 100_000_000L;

  private final Shared shared;
  private final Env env;
  private final ObjectStore store;
  private final String storeKey;
  private final FlushTask task;
  private final PutOptions options;
  private final Function<StoreRef, Optional<String>> sources;
  private volatile long leaseMillis;
  private boolean mayLand;
  private final AtomicInteger troubled = new AtomicInteger(); // parts that are sent again
  private volatile Optional<RuntimeException> hopeless = Optional.empty(); // why a part failed
  private Optional<String> upload = Optional.empty();

  /**
   * @param sources the key, in the same store, of a referenced object; empty when it is not there
   */
  FlushSend(
      Shared shared,
      ObjectStore store,
      String storeKey,
      FlushTask task,
      PutOptions options,
      Function<StoreRef, Optional<String>> sources) {
    this.shared = shared;
    this.env = shared.env();
    this.store = store;
    this.storeKey = storeKey;
    this.task = task;
    this.options = options;
    this.sources = sources;
    this.leaseMillis = task.leaseMillis();
  }

  /** Sends; blocking. */
  Verdict run() {
    try {
      return switch (task.kind()) {
        case PUT -> put();
        case COPY -> copy();
        case DELETE -> delete();
        case RESOLVE -> throw new IllegalStateException("a RESOLVE is not sent");
      };
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.CANCELLED) {
        throw failure;
      }
      return failed(failure.code(), String.valueOf(failure.getMessage()));
    } catch (RuntimeException unexpected) {
      return failed(ErrorCode.INTERNAL, "flushing failed unexpectedly: " + unexpected);
    }
  }

  private Verdict failed(ErrorCode code, String message) {
    boolean definite =
        switch (code) {
          case STORE_DENIED,
              STORE_MISSING,
              STORE_THROTTLED,
              STORE_CONFLICT,
              NO_SUCH_UPLOAD,
              INVALID_ARGUMENT ->
              true;
          default -> false;
        };
    if (mayLand && !definite && Rule.F2_SENT.holds()) {
      return new Verdict.Unresolved(code, message);
    }
    if (upload.isPresent() && !dropped(upload.get())) {
      return new Verdict.Unresolved(code, message); // so that somebody drops it later
    }
    return new Verdict.Failed(code, message);
  }

  private boolean dropped(String name) {
    try {
      store.abort(storeKey, name);
      return true;
    } catch (ForebayException left) {
      if (left.code() == ErrorCode.CANCELLED) {
        throw left;
      }
      return false;
    }
  }

  /** From here on the attempt may land. */
  private void sending() {
    prolong();
    shared.stager().checkLease(leaseMillis);
    mayLand = true;
  }

  /** Prolongs the lease when half of it is over. */
  private void prolong() {
    if (leaseMillis - env.wallMillis() > shared.settings().leaseMillis() / 2) {
      return;
    }
    NamespaceResult result;
    try {
      result =
          shared
              .plane()
              .namespace(
                  new NamespaceCommand.FlushExtend(
                      task.bucket(),
                      task.key(),
                      task.attempt(),
                      shared.settings().leaseMillis(),
                      shared.settings().landingMillis()));
    } catch (ForebayException unclear) {
      if (unclear.code() == ErrorCode.CANCELLED) {
        throw unclear;
      }
      return; // what is left of the lease still holds
    }
    leaseMillis =
        result instanceof NamespaceResult.FlushExtended(long until) ? until : Long.MIN_VALUE / 2;
  }

  /** Does something on another thread, and keeps the lease meanwhile. */
  private <T> Outcome<T> started(String name, Supplier<T> action) {
    var outcome = new Outcome<T>(env);
    env.spawn(
        name,
        () -> {
          try {
            outcome.complete(action.get());
          } catch (RuntimeException failure) {
            outcome.fail(failure);
          } catch (Error broken) {
            outcome.fail(broken);
            throw broken;
          }
        });
    return outcome;
  }

  private <T> T kept(Outcome<T> outcome) {
    while (!outcome.awaitUntil(env.nanoTime() + shared.settings().leaseMillis() / 8 * 1_000_000L)) {
      prolong();
    }
    return outcome.get();
  }

  private <T> T request(Supplier<T> action) {
    sending();
    return kept(started("flush-request", action));
  }

  private Verdict verdict(ObjectStore.PutResult result) {
    return switch (result) {
      case ObjectStore.PutResult.Stored(var etag) -> new Verdict.Done(etag);
      case ObjectStore.PutResult.Refused _ -> refused();
    };
  }

  private Verdict refused() {
    return failed(
        ErrorCode.STORE_CONFLICT,
        "'" + storeKey + "' in the store " + store.description() + " is not what was last seen");
  }

  private Verdict put() {
    ManifestReader.Source source = shared.manifests().open(task.manifest(), Optional.empty());
    if (task.lengthBytes() <= shared.settings().putBytes()) {
      return shared
          .stager()
          .withBody(
              source,
              0,
              task.lengthBytes(),
              body -> verdict(request(() -> store.put(storeKey, body, options))));
    }
    long partBytes = partBytes();
    shared.stager().requireFits(Math.min(partBytes, task.lengthBytes()));
    String stamp = Long.toHexString(task.generation().value()) + "-" + task.attempt();
    String name = store.begin(storeKey, stamp, options);
    upload = Optional.of(name);
    NamespaceResult logged =
        shared
            .plane()
            .namespace(
                new NamespaceCommand.FlushUpload(task.bucket(), task.key(), task.attempt(), name));
    if (logged instanceof NamespaceResult.Refused refused) {
      throw refused.exception();
    }
    List<String> tags = stageAll(name, source, partBytes);
    return verdict(request(() -> store.commit(storeKey, name, tags, options)));
  }

  private long partBytes() {
    long partBytes = shared.settings().partBytes();
    while ((task.lengthBytes() - 1) / partBytes >= store.limits().maxParts()) {
      partBytes *= 2;
    }
    return partBytes;
  }

  private List<String> stageAll(String name, ManifestReader.Source source, long partBytes) {
    List<Extent> extents = extents();
    var outcomes = new ArrayList<Outcome<String>>();
    var tags = new ArrayList<String>();
    Optional<RuntimeException> first = Optional.empty();
    try {
      for (long offset = 0; offset < task.lengthBytes(); offset += partBytes) {
        long from = offset;
        long length = Math.min(partBytes, task.lengthBytes() - offset);
        int part = outcomes.size() + 1;
        if (!awaitTurn()) {
          break; // the rest would be for nothing
        }
        outcomes.add(started("flush-part", () -> stage(name, part, source, extents, from, length)));
      }
    } finally {
      // Nothing of this attempt stages any more when its upload is dropped.
      for (Outcome<String> outcome : outcomes) {
        try {
          tags.add(kept(outcome));
        } catch (RuntimeException failure) {
          first = first.isPresent() ? first : Optional.of(failure);
        }
      }
    }
    if (first.isPresent()) {
      throw hopeless.orElse(first.get()); // others gave up when that one had failed
    }
    return tags;
  }

  /**
   * Takes a permit for the next part, once no other is sent again: a store that is busy or away is
   * not asked for more than what is under way.
   *
   * @return whether there is one; else a part has failed for good
   */
  private boolean awaitTurn() {
    while (hopeless.isEmpty()) {
      prolong();
      shared.stager().checkLease(leaseMillis);
      if (troubled.get() > 0) {
        env.sleep(TROUBLED_NANOS);
      } else if (shared
          .parts()
          .acquire(1, env.nanoTime() + shared.settings().leaseMillis() / 8 * 1_000_000L)) {
        // Whoever is sent again gives his permit back meanwhile, perhaps this one.
        if (troubled.get() == 0 && hopeless.isEmpty()) {
          return true;
        }
        shared.parts().release(1);
      }
    }
    return false;
  }

  /** Where the parts are; empty when that is not known by chunks. */
  private List<Extent> extents() {
    return switch (task.manifest()) {
      case Manifest.Extents _, Manifest.InChunk _ -> shared.manifests().extents(task.manifest());
      default -> List.of();
    };
  }

  /** Runs with one permit for a part, which it gives back. */
  private String stage(
      String name,
      int part,
      ManifestReader.Source source,
      List<Extent> extents,
      long from,
      long length) {
    try {
      PartStager stager = shared.stager();
      Optional<String> tag =
          stager
              .holder(extents, from, length, part)
              .flatMap(holder ->
                  stager.ask(
                      holder,
                      new FlushMessage.StagePart(
                          task.bucket(), task.key(), name, part, holder.body(), leaseMillis)));
      return tag.isPresent() ? tag.get() : stageHere(name, part, source, from, length);
    } catch (RuntimeException failure) {
      hopeless = hopeless.or(() -> Optional.of(failure));
      throw failure;
    } finally {
      shared.parts().release(1);
    }
  }

  /**
   * Stages a part from this node, again where the store was busy or not reached: the same bytes
   * under the same number change nothing, and of an object of thousands of parts each attempt would
   * else fail for one of them. Meanwhile no further part is begun, and when one has failed for good
   * the others give up, too.
   */
  private String stageHere(
      String name, int part, ManifestReader.Source source, long from, long length) {
    try {
      return stageOnce(name, part, source, from, length);
    } catch (ForebayException failure) {
      if (!mayPass(failure.code())) {
        throw failure;
      }
      troubled.incrementAndGet();
      try {
        return stageAgain(name, part, source, from, length, failure);
      } finally {
        troubled.decrementAndGet();
      }
    }
  }

  private String stageAgain(
      String name,
      int part,
      ManifestReader.Source source,
      long from,
      long length,
      ForebayException first) {
    ForebayException last = first;
    for (int tries = 1; tries < STAGE_TRIES; tries++) {
      shared.stager().checkLease(leaseMillis);
      long pause = FIRST_STAGE_PAUSE_NANOS << (tries - 1);
      shared.parts().release(1); // others' stores may be well
      try {
        env.sleep(pause / 2 + env.random().nextLong(pause / 2 + 1));
      } finally {
        shared.parts().acquire(1);
      }
      if (hopeless.isPresent()) {
        break;
      }
      try {
        return stageOnce(name, part, source, from, length);
      } catch (ForebayException failure) {
        if (!mayPass(failure.code())) {
          throw failure;
        }
        last = failure;
      }
    }
    throw last;
  }

  private String stageOnce(
      String name, int part, ManifestReader.Source source, long from, long length) {
    PartStager stager = shared.stager();
    return stager.withBody(
        source,
        from,
        length,
        body -> {
          stager.checkLease(leaseMillis);
          return store.stage(storeKey, name, part, body);
        });
  }

  private static boolean mayPass(ErrorCode code) {
    return switch (code) {
      case STORE_THROTTLED, STORE_UNREACHABLE, TIMEOUT -> true;
      default -> false;
    };
  }

  private Verdict copy() {
    if (!(task.manifest() instanceof Manifest.Stored(StoreRef ref, Manifest hint))
        || ref.offset() != 0
        || task.lengthBytes() > store.limits().maxCopyBytes()) {
      return put();
    }
    Optional<String> from = sources.apply(ref);
    if (from.isEmpty()) {
      return put();
    }
    ObjectStore.PutResult result =
        request(() -> store.copy(from.get(), ref.etag(), storeKey, options));
    if (result instanceof ObjectStore.PutResult.Refused) {
      mayLand = false;
      if (store.head(storeKey).<StoreSight>map(FlushSend::sight).equals(expected())) {
        // Then it is the source that changed; copies that are still cached have what it was.
        return put();
      }
    }
    return verdict(result);
  }

  private static StoreSight sight(StoreObject object) {
    return new StoreSight.Present(object.etag());
  }

  private Optional<StoreSight> expected() {
    return task.condition() instanceof StoreSight.Present present
        ? Optional.of(present)
        : Optional.empty();
  }

  private Verdict delete() {
    ObjectStore.DeleteResult result = request(() -> store.delete(storeKey, options.condition()));
    return switch (result) {
      case ObjectStore.DeleteResult.Deleted _, ObjectStore.DeleteResult.Missing _ ->
          new Verdict.Done("");
      case ObjectStore.DeleteResult.Refused _ -> refused();
    };
  }

  static StoreCondition condition(StoreSight sight) {
    return switch (sight) {
      case StoreSight.Absent _ -> new StoreCondition.IfAbsent();
      case StoreSight.Present(var etag) -> new StoreCondition.IfMatch(etag);
    };
  }
}
