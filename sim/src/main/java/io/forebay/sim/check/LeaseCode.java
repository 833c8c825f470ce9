package io.forebay.sim.check;

import io.forebay.core.lease.Grant;
import io.forebay.core.lease.LeaseCache;
import io.forebay.core.lease.LeaseTable;
import io.forebay.core.rule.Rule;
import io.forebay.sim.check.LeaseScene.Ask;
import io.forebay.sim.check.LeaseScene.Asked;
import io.forebay.sim.check.LeaseScene.Attempt;
import io.forebay.sim.check.LeaseScene.Revocation;
import io.forebay.sim.check.LeaseScene.Run;
import io.forebay.sim.check.LeaseScene.Stage;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;

/**
 * Writes what tells a {@link LeaseScene} from others. Of clocks only ages count, up to where
 * nothing depends on them any more; of the numbers of leases only which ones are equal and which is
 * larger; what lies in no order is sorted.
 */
@SuppressWarnings("EnumOrdinal") // what is written does not leave the process
final class LeaseCode {
  private static final LeaseTable.Book NONE = new LeaseTable.Book(0, 0, List.of());

  private final LeaseScope scope;
  private final long[][] numbers; // of leases that are spoken of, by who gave them; sorted
  private final int[] counts;
  private long[] rows = new long[16];

  LeaseCode(LeaseScope scope, int processes) {
    this.scope = scope;
    this.numbers = new long[processes][64];
    this.counts = new int[processes];
  }

  void encode(LeaseScene scene, ByteBuffer out) {
    int size = scene.processes.length;
    var books = new LeaseTable.Book[size];
    var known = new LeaseCache.Known[size][];
    Arrays.fill(counts, 0);
    for (int i = 0; i < size; i++) {
      books[i] = bookThatCounts(scene, i);
      for (LeaseTable.Row row : books[i].leases()) {
        add(i, row.lease().number());
      }
    }
    for (int i = 0; i < size; i++) {
      int process = i;
      known[i] =
          scene.processes[i].cache().known().stream()
              .filter(each -> mayCount(scene, books, process, each))
              .toArray(LeaseCache.Known[]::new);
      for (LeaseCache.Known each : known[i]) {
        add(scene.leaderOf(each.grant().term()), each.grant().number());
      }
    }
    for (Ask ask : scene.asks) {
      if (isOfUse(scene, ask)) {
        add(ask.voter(), ask.grant().orElseThrow().number());
      }
    }
    for (Attempt attempt : scene.attempts) {
      attempt.awaited().forEach(lease -> add(attempt.voter(), lease.number()));
    }
    for (Revocation each : scene.revocations) {
      add(each.voter(), each.lease().number());
    }
    out.put((byte) (scene.broken.isPresent() ? 1 : 0));
    out.put((byte) scene.term).put((byte) scene.leader);
    out.putLong(scene.versions).putLong(scene.faults);
    out.put((byte) scene.picture())
        .put((byte) scene.started)
        .put((byte) scene.acknowledged)
        .put((byte) scene.floor);
    out.put((byte) scene.pending.size());
    scene.pending.forEach(entry ->
        out.put((byte) entry.publish())
            .put((byte) (entry.boundTerm() << 1 | (entry.sayNanos() > 0 ? 1 : 0))));
    for (int i = 0; i < size; i++) {
      encode(scene, i, books[i], known[i], out);
    }
    sorted(scene.asks.size(), out, i -> encode(scene, i, known));
    List<Attempt> attempts =
        LeaseScene.without(
            scene.attempts,
            attempt ->
                attempt.stage() == Stage.UNKNOWN
                    && attempt.term() != books[attempt.voter()].term());
    sorted(attempts.size(), out, i -> encode(scene, attempts.get(i)));
    sorted(scene.revocations.size(), out, i -> encode(scene.revocations.get(i)));
  }

  /** The book of a voter, unless nobody will look at it before a new term empties it. */
  private static LeaseTable.Book bookThatCounts(LeaseScene scene, int voter) {
    LeaseTable.Book book = scene.processes[voter].table().book();
    boolean counts = scene.processes[voter].leads() == book.term();
    for (Ask ask : scene.asks) {
      counts |= ask.voter() == voter && ask.term() == book.term() && ask.stage() != Asked.ANSWERED;
    }
    return counts ? book : NONE;
  }

  /**
   * Whether what is known may be of any consequence: its lease lives, or may come to life again.
   */
  private boolean mayCount(
      LeaseScene scene, LeaseTable.Book[] books, int process, LeaseCache.Known known) {
    if (isAlive(scene.processes[process], known.since()) || !Rule.V3_NEXT.holds()) {
      return true;
    }
    for (LeaseTable.Row row : books[scene.leaderOf(known.grant().term())].leases()) {
      if (row.lease().number() == known.grant().number()) {
        return true;
      }
    }
    for (Ask ask : scene.asks) {
      if (ask.process() == process
          && isOfUse(scene, ask)
          && ask.ticket().directory().equals(known.directory())) {
        return true;
      }
    }
    return false;
  }

  private static boolean isAlive(Run process, LeaseCache.Ticket since) {
    int mono = LeaseScope.LENGTH_TICKS - monoAge(process, since);
    int wall = LeaseScope.LENGTH_TICKS - wallAge(process, since);
    return mono > 0 && (wall > 0 || !Rule.V5_WALL.holds());
  }

  static int ageTicks(Run process, LeaseCache.Ticket since) {
    return Math.max(monoAge(process, since), wallAge(process, since));
  }

  private static int monoAge(Run process, LeaseCache.Ticket since) {
    return process.mono() - (int) (since.sentNanos() / LeaseScope.TICK_NANOS);
  }

  private static int wallAge(Run process, LeaseCache.Ticket since) {
    return process.wall() - LeaseScope.wallTicks(since.sentMillis());
  }

  /** Whether the lease that an answer brings may be kept. */
  private static boolean isOfUse(LeaseScene scene, Ask ask) {
    return ask.grant().isPresent()
        && scene.processes[ask.process()].cache().isUnderWay(ask.ticket());
  }

  private void encode(
      LeaseScene scene, int i, LeaseTable.Book book, LeaseCache.Known[] known, ByteBuffer out) {
    Run process = scene.processes[i];
    boolean mapCounts = process.leads() != 0;
    for (Ask ask : scene.asks) {
      mapCounts |=
          ask.voter() == i && (ask.stage() == Asked.CONFIRMED || ask.stage() == Asked.HALF);
    }
    out.put((byte) (process.leads() << 1 | (process.frozen() ? 1 : 0)));
    out.put((byte) (mapCounts ? process.map() : 0));
    long now = process.mono() * LeaseScope.TICK_NANOS;
    out.put((byte) book.term());
    out.put(
        (byte) (book.term() == 0 ? 0 : ticks(book.beganNanos() + LeaseScope.WAITED_NANOS - now)));
    out.put((byte) book.leases().size());
    for (LeaseTable.Row row : book.leases()) {
      out.put((byte) (scope.place(row.lease().directory()) << 4 | holder(row.lease())));
      out.put((byte) (rank(i, row.lease().number()) << 1 | (row.revoking() ? 1 : 0)));
      out.put((byte) ticks(row.untilNanos() - now));
    }
    out.put((byte) known.length);
    for (LeaseCache.Known each : known) {
      int issuer = scene.leaderOf(each.grant().term());
      out.put((byte) (scope.place(each.directory()) << 4 | (int) each.grant().term()));
      out.put((byte) rank(issuer, each.grant().number()));
      out.put((byte) age(process, each.since()));
      each.answers()
          .forEach((key, answer) ->
              out.put((byte) (scope.key(each.directory(), key) << 4 | LeaseScope.version(answer))));
      out.put((byte) 0xFF);
    }
  }

  /** Both ages of a request; one that no lease counts from any more has but one. */
  private static int age(Run process, LeaseCache.Ticket since) {
    if (!isAlive(process, since)) {
      return LeaseScope.LENGTH_TICKS * 5;
    }
    return monoAge(process, since) * 4 + Math.min(wallAge(process, since), 3);
  }

  private static int ticks(long nanos) {
    return (int) Math.max(0, (nanos + LeaseScope.TICK_NANOS - 1) / LeaseScope.TICK_NANOS);
  }

  private static int holder(LeaseTable.Lease lease) {
    return (int) lease.holder().run();
  }

  private long encode(LeaseScene scene, int i, LeaseCache.Known[][] known) {
    Ask ask = scene.asks.get(i);
    boolean underWay = scene.processes[ask.process()].cache().isUnderWay(ask.ticket());
    boolean newer = false;
    for (LeaseCache.Known each : known[ask.process()]) {
      newer |=
          each.directory().equals(ask.ticket().directory())
              && ask.ticket().number() > each.since().number();
    }
    int before = 0; // asked by the same process earlier
    for (int j = 0; j < i; j++) {
      before += scene.asks.get(j).process() == ask.process() ? 1 : 0;
    }
    long code = ask.process();
    code = code << 2 | ask.key();
    code = code << 2 | ask.voter();
    code = code << 3 | ask.term();
    code = code << 2 | ask.stage().ordinal();
    code = code << 4 | ask.value();
    code = code << 4 | ask.floor();
    code = code << 4 | age(scene.processes[ask.process()], ask.ticket());
    code = code << 1 | (underWay ? 1 : 0);
    code = code << 1 | (newer ? 1 : 0);
    code = code << 2 | before;
    code = code << 6 | (underWay ? grant(ask) : 0);
    return code;
  }

  private int grant(Ask ask) {
    return ask.grant().map(grant -> 1 + rank(ask.voter(), grant.number())).orElse(0);
  }

  private long encode(LeaseScene scene, Attempt attempt) {
    Run voter = scene.processes[attempt.voter()];
    long now = voter.mono() * LeaseScope.TICK_NANOS;
    boolean waits = attempt.stage() == Stage.WAITING;
    long awaited = 0;
    for (LeaseTable.Lease lease : attempt.awaited()) {
      awaited |= 1L << rank(attempt.voter(), lease.number());
    }
    long code = attempt.publish();
    code = code << 2 | attempt.voter();
    code = code << 3 | attempt.term();
    code = code << 2 | attempt.stage().ordinal();
    code = code << 3 | (waits && awaited != 0 ? ticks(attempt.untilNanos() - now) : 0);
    code = code << 3 | (waits ? ticks(attempt.notBeforeNanos() - now) : 0);
    code = code << 3 | (scene.place(attempt) + 1);
    code = code << 24 | awaited;
    return code;
  }

  private long encode(Revocation each) {
    long code = each.voter();
    code = code << 3 | holder(each.lease());
    code = code << 2 | scope.place(each.lease().directory());
    code = code << 5 | rank(each.voter(), each.lease().number());
    code = code << 1 | (each.confirmed() ? 1 : 0);
    return code;
  }

  /** One of the things that lie in no order, as a number. */
  private interface Coder {
    long code(int place);
  }

  private void sorted(int count, ByteBuffer out, Coder coder) {
    if (count > rows.length) {
      rows = new long[2 * count];
    }
    for (int i = 0; i < count; i++) {
      rows[i] = coder.code(i);
    }
    Arrays.sort(rows, 0, count);
    out.put((byte) count);
    for (int i = 0; i < count; i++) {
      out.putLong(rows[i]);
    }
  }

  private void add(int issuer, long number) {
    long[] sorted = numbers[issuer];
    int at = 0;
    while (at < counts[issuer] && sorted[at] < number) {
      at++;
    }
    if (at < counts[issuer] && sorted[at] == number) {
      return;
    }
    System.arraycopy(sorted, at, sorted, at + 1, counts[issuer] - at);
    sorted[at] = number;
    counts[issuer]++;
  }

  private int rank(int issuer, long number) {
    int at = 0;
    while (numbers[issuer][at] != number) {
      at++;
    }
    return at;
  }

  /** For people. */
  static String describe(LeaseScene scene, List<String> names) {
    var text = new StringBuilder();
    text.append("term ").append(scene.term).append(" led by ").append(names.get(scene.leader));
    text.append(", applied ").append(scene.version);
    text.append(", leases of ")
        .append(scene.saidNanos)
        .append(" ns")
        .append(", pending ")
        .append(scene.pending);
    text.append(", least ").append(scene.floor).append(", acknowledged ");
    text.append(Integer.toBinaryString(scene.acknowledged)).append('\n');
    for (int i = 0; i < scene.processes.length; i++) {
      Run each = scene.processes[i];
      text.append(names.get(i)).append(each.frozen() ? " (frozen)" : "");
      text.append(" leads ").append(each.leads()).append(", has ").append(each.map());
      text.append(", clocks ").append(each.mono()).append(' ').append(each.wall());
      LeaseTable.Book book = each.table().book();
      text.append("; book of ").append(book.term());
      for (LeaseTable.Row row : book.leases()) {
        text.append(' ').append(names.get(holder(row.lease())));
        text.append('#').append(row.lease().number()).append(row.revoking() ? " revoking" : "");
        text.append(" until ").append(row.untilNanos() / LeaseScope.TICK_NANOS);
      }
      for (LeaseCache.Known known : each.cache().known()) {
        Grant grant = known.grant();
        text.append("; knows ").append(known.directory()).append(" by ").append(grant.term());
        text.append('#').append(grant.number());
        text.append(" since ").append(known.since().sentNanos() / LeaseScope.TICK_NANOS);
        known
            .answers()
            .forEach((key, answer) ->
                text.append(' ').append(key).append('=').append(LeaseScope.version(answer)));
      }
      text.append('\n');
    }
    scene.asks.forEach(ask -> text.append(ask).append('\n'));
    scene.attempts.forEach(attempt -> text.append(attempt).append('\n'));
    return text.toString();
  }
}
