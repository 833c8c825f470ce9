package io.forebay.core.log;

import io.forebay.core.codec.RecordCodec;
import io.forebay.core.env.Env;
import io.forebay.core.error.ForebayException;
import io.forebay.core.lease.Directory;
import io.forebay.core.lease.Grant;
import io.forebay.core.lease.LeaseCache;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.net.ControlMessage;
import java.util.Optional;

/**
 * A node's reads of single keys: from what it holds under a lease, else from the leader, which is
 * asked for a lease at the same time. In the second half of a lease's life one read that it answers
 * asks for it anew beside that, so that a directory that is read stays leased.
 */
final class LeasedReads {
  private static final RecordCodec<NamespaceQuery> QUERIES = RecordCodec.of(NamespaceQuery.class);
  private static final RecordCodec<NamespaceAnswer> ANSWERS = RecordCodec.of(NamespaceAnswer.class);

  private final Env env;
  private final Submitter namespace;
  private final LeaseCache cache;
  private final long timeoutNanos;

  LeasedReads(Env env, Submitter namespace, LeaseCache cache, long timeoutNanos) {
    this.env = env;
    this.namespace = namespace;
    this.cache = cache;
    this.timeoutNanos = timeoutNanos;
  }

  /**
   * A linearizable read.
   *
   * @throws ForebayException UNAVAILABLE when it is not known and no leader answers
   */
  NamespaceAnswer stat(NamespaceQuery.Stat query) {
    Directory directory = Directory.of(query.bucket(), query.key());
    Optional<LeaseCache.Hit> known = cache.find(directory, query.key());
    if (known.isEmpty()) {
      return ask(directory, query);
    }
    if (known.get().renew()) {
      env.spawn("lease-renewal", () -> renew(directory, query));
    }
    return known.get().answer();
  }

  private void renew(Directory directory, NamespaceQuery.Stat query) {
    try {
      ask(directory, query);
    } catch (ForebayException unreachable) {
      // The lease runs out, and the next reader hears why.
    }
  }

  private NamespaceAnswer ask(Directory directory, NamespaceQuery.Stat query) {
    LeaseCache.Ticket ticket = cache.begin(directory);
    ControlMessage.LeasedAnswer reply;
    NamespaceAnswer answer;
    try {
      reply = namespace.leasedQuery(QUERIES.encode(query), cache.run(), timeoutNanos);
      answer = ANSWERS.decode(reply.answer());
    } catch (RuntimeException failure) {
      cache.end(ticket);
      throw failure;
    }
    Optional<Grant> lease = reply.lease();
    if (lease.isPresent()) {
      cache.end(ticket, lease.get(), query.key(), answer, reply.answer().length);
    } else {
      cache.end(ticket);
    }
    return answer;
  }
}
