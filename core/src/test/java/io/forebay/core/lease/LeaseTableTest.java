package io.forebay.core.lease;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.StillEnv;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseTable.Holder;
import io.forebay.core.lease.LeaseTable.Lease;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class LeaseTableTest {
  private static final BucketId BUCKET = new BucketId(1);
  private static final Directory HOT = new Directory(BUCKET, "hot/");
  private static final Directory COLD = new Directory(BUCKET, "cold/");
  private static final Holder ONE = new Holder(new NodeId("n1"), 11);
  private static final Holder TWO = new Holder(new NodeId("n2"), 22);
  private static final Touched WRITE = new Touched(List.of(HOT), List.of(), false);

  private static final long LENGTH = 1_000_000_000L;

  private final StillEnv env = new StillEnv();
  private final LeaseTable table = new LeaseTable(env, LENGTH, 0);

  LeaseTableTest() {
    table.begin(1);
  }

  private long number(Directory directory, Holder holder) {
    return table.grant(1, directory, holder).orElseThrow().number();
  }

  private LeaseTable.Blocked block(Touched touched) {
    return table.block(1, touched, LENGTH).orElseThrow();
  }

  @Test
  void nothingIsGivenFromTheBlockUntilItIsSettled() {
    LeaseTable.Blocked first = block(WRITE);
    LeaseTable.Blocked second = block(WRITE);
    assertThat(table.grant(1, HOT, ONE)).isEmpty();
    assertThat(table.grant(1, COLD, ONE)).isPresent();
    env.pass(3_600_000); // no time-out ends it
    table.settle(1, first.block());
    assertThat(table.grant(1, HOT, ONE)).isEmpty();
    table.settle(1, second.block());
    assertThat(table.grant(1, HOT, ONE)).isPresent();
  }

  @Test
  void everyLeaseOfATouchedDirectoryIsRevokedOnceAndWaitedForByAll() {
    number(HOT, ONE);
    number(HOT, TWO);
    number(COLD, TWO);
    LeaseTable.Blocked first = block(WRITE);
    assertThat(first.revoke().stream().map(Lease::holder)).containsExactly(ONE, TWO);
    LeaseTable.Blocked second = block(WRITE);
    assertThat(second.revoke()).isEmpty();
    assertThat(second.ends().leases()).isEqualTo(first.revoke());
    table.gone(first.revoke().getFirst());
    assertThat(block(WRITE).ends().leases()).containsExactly(first.revoke().get(1));
    table.gone(first.revoke().get(1));
    assertThat(block(WRITE).ends().leases()).isEmpty();
  }

  @Test
  void aLeaseIsWaitedForLongerThanItsHolderCounts() {
    number(HOT, ONE);
    env.pass(1_000);
    LeaseTable.Blocked blocked = block(WRITE);
    assertThat(blocked.revoke()).hasSize(1);
    assertThat(blocked.ends().untilNanos()).isGreaterThanOrEqualTo(env.nanoTime() + 100_000_000L);
    env.pass(102);
    assertThat(block(WRITE).ends().leases()).isEmpty();
  }

  @Test
  void aLeaseKeepsItsNumberOnlyWhileItIsProlongedWithoutAGap() {
    long number = number(HOT, ONE);
    env.pass(1_050);
    assertThat(number(HOT, ONE)).isEqualTo(number);
    env.pass(1_200);
    long later = number(HOT, ONE);
    assertThat(later).isGreaterThan(number);
    LeaseTable.Blocked blocked = block(WRITE);
    table.gone(blocked.revoke().getFirst());
    table.settle(1, blocked.block());
    assertThat(number(HOT, ONE)).isGreaterThan(later);
  }

  @Test
  void aConfirmationThatComesLateDoesNotEndALaterLease() {
    number(HOT, ONE);
    LeaseTable.Blocked given = block(WRITE);
    table.settle(1, given.block()); // its submitter gave up before it was queued
    number(HOT, ONE);
    table.gone(given.revoke().getFirst());
    assertThat(block(WRITE).revoke()).hasSize(1);
  }

  @Test
  void aPrefixRevokesWhatLiesBelowIt() {
    var deep = new Directory(BUCKET, "hot/a/b/");
    number(deep, ONE);
    number(COLD, ONE);
    var touched = new Touched(List.of(), List.of(new Touched.Prefix(BUCKET, "hot/")), false);
    LeaseTable.Blocked blocked = block(touched);
    assertThat(blocked.revoke().stream().map(Lease::directory)).containsExactly(deep);
    assertThat(table.grant(1, deep, TWO)).isEmpty();
    table.settle(1, blocked.block());
    assertThat(table.grant(1, deep, TWO)).isPresent();
  }

  @Test
  void aTermBeginsWithAnEmptyBookAndOldOnesAreOver() {
    number(HOT, ONE);
    block(WRITE);
    env.pass(10);
    assertThat(table.begin(2)).isEqualTo(env.nanoTime());
    env.pass(10);
    assertThat(table.begin(2)).isEqualTo(env.nanoTime() - 10_000_000L);
    assertThat(table.grant(1, COLD, ONE)).isEmpty();
    assertThat(table.block(1, WRITE, LENGTH)).isEqualTo(Optional.empty());
    assertThat(table.grant(2, HOT, ONE).orElseThrow().term()).isEqualTo(2);
  }

  @Test
  void anUnknownOutcomeBlocksUntilItIsSettledOrTheTermEnds() {
    LeaseTable.Blocked first = block(WRITE);
    LeaseTable.Blocked second = block(WRITE);
    table.unknown(1, first.block());
    table.unknown(1, second.block());
    assertThat(table.unknown(1)).containsExactly(first.block(), second.block());
    table.settle(1, second.block());
    assertThat(table.unknown(1)).containsExactly(first.block());
    assertThat(table.grant(1, HOT, ONE)).isEmpty();
    table.begin(2);
    assertThat(table.unknown(1)).isEmpty();
    table.unknown(1, first.block());
    assertThat(table.unknown(2)).isEmpty();
  }

  @Test
  void nothingIsProposedBeforeWhatAnOlderLeaderGaveHasRunOut() {
    long waited = LeaseSettings.waitedOutNanos(LENGTH);
    long elected = env.nanoTime();
    env.pass(10);
    assertThat(block(WRITE).notBeforeNanos()).isEqualTo(elected + waited);
    assertThat(table.toSayNanos(1, 2 * LENGTH)).isEqualTo(2 * LENGTH);
    env.pass(LeaseSettings.waitedOutNanos(2 * LENGTH) / 1_000_000);
    assertThat(table.toSayNanos(1, 2 * LENGTH)).isEqualTo(LENGTH);
  }

  @Test
  void aCopyGoesOnApart() {
    number(HOT, ONE);
    LeaseTable.Blocked blocked = block(WRITE);
    var copy = new LeaseTable(table);
    copy.gone(blocked.revoke().getFirst());
    copy.settle(1, blocked.block());
    assertThat(copy.grant(1, HOT, TWO)).isPresent();
    assertThat(table.grant(1, HOT, TWO)).isEmpty();
    assertThat(table.book().leases().stream().map(LeaseTable.Row::revoking)).containsExactly(true);
    assertThat(copy.book().leases().stream().map(row -> row.lease().holder())).containsExactly(TWO);
  }

  @Test
  void aDirectoryThatWasWrittenOfLateGivesNoLease() {
    var quiet = new LeaseTable(env, LENGTH, 500_000_000L);
    quiet.begin(1);
    quiet.settle(1, quiet.block(1, WRITE, LENGTH).orElseThrow().block());
    env.pass(499);
    assertThat(quiet.grant(1, HOT, ONE)).isEmpty();
    assertThat(quiet.grant(1, COLD, ONE)).isPresent();
    env.pass(1);
    assertThat(quiet.grant(1, HOT, ONE)).isPresent();
  }

  @Test
  void theBookIsBoundedAndMakesRoomOfWhatHasRunOut() {
    for (int i = 0; i < LeaseTable.MAX_LEASES; i++) {
      number(new Directory(BUCKET, i + "/"), ONE);
    }
    assertThat(table.grant(1, HOT, ONE)).isEmpty();
    env.pass(1_200);
    assertThat(table.grant(1, HOT, ONE)).isPresent();
    assertThat(table.counters().leases()).isEqualTo(1);
  }
}
