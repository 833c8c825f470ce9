package io.forebay.sim.check;

import static io.forebay.sim.check.LeaseScope.Fault.AGAIN;
import static io.forebay.sim.check.LeaseScope.Fault.DRIFT;
import static io.forebay.sim.check.LeaseScope.Fault.DUPLICATE;
import static io.forebay.sim.check.LeaseScope.Fault.ELECTION;
import static io.forebay.sim.check.LeaseScope.Fault.FREEZE;
import static io.forebay.sim.check.LeaseScope.Fault.GIVE_UP;
import static io.forebay.sim.check.LeaseScope.Fault.LOSS;
import static io.forebay.sim.check.LeaseScope.Fault.OTHER;
import static io.forebay.sim.check.LeaseScope.Fault.UNKNOWN;

import io.forebay.core.cluster.FlushMode;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.Directory;
import io.forebay.core.lease.Grant;
import io.forebay.core.lease.LeaseCache;
import io.forebay.core.lease.LeaseTable;
import io.forebay.core.lease.Touched;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.rule.Rule;
import io.forebay.sim.check.LeaseScene.Ask;
import io.forebay.sim.check.LeaseScene.Asked;
import io.forebay.sim.check.LeaseScene.Attempt;
import io.forebay.sim.check.LeaseScene.Entry;
import io.forebay.sim.check.LeaseScene.Revocation;
import io.forebay.sim.check.LeaseScene.Run;
import io.forebay.sim.check.LeaseScene.Stage;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Directory leases (rules V1 to V6): a few processes that read a key or two from their caches or
 * from whom they take for the leader, a few publishes, and leaders that come, go and stand still.
 *
 * <p>Production code are the books of both ends, {@link LeaseTable} and {@link LeaseCache}, what a
 * command touches ({@link Touched}) and whether an entry is meant for a term. Between them this
 * class goes the ways that {@code LeasedLog}, {@code LogService} and {@code LeasedReads} go in
 * threads, step by step: a question is confirmed, registered, read, answered; a publish blocks,
 * revokes, waits, is queued and proposed. So rules V4 and V6 are left out here as they are there,
 * and the order of V3 here only.
 *
 * <p>The log is what Raft promises: entries of the present leader are applied in order; an election
 * keeps some of them and loses the others; a deposed leader hears of it sometime. That a voter
 * which was elected has applied everything comes with the election.
 *
 * <p>Time goes in ticks. A lease lasts two of them, and is waited out in three: so one drift of one
 * tick is allowed for. Messages need not arrive in any order, or soon.
 */
public final class LeaseScope implements Scope<LeaseScene> {
  static final long TICK_NANOS = 2_500_000L;
  static final int LENGTH_TICKS = 2;
  static final long LENGTH_NANOS = LENGTH_TICKS * TICK_NANOS;
  static final int WAITED_TICKS = 3;
  static final long WAITED_NANOS = WAITED_TICKS * TICK_NANOS;

  private static final BucketId BUCKET = new BucketId(1);
  private static final FlushPolicy POLICY = new FlushPolicy(FlushMode.CACHE_ONLY, 0, 0);
  private static final int MOST_VERSIONS = 4;
  private static final int ALL = -1;
  private static final int MOST = 3_000_000;
  private static final List<NamespaceAnswer> ANSWERS = answers();

  /**
   * What is asked for, and published at once.
   *
   * @param names of keys
   */
  record Keys(String name, List<String> names, List<Directory> directories, Touched touched) {
    static final Keys ONE =
        of("a key", new NamespaceCommand.DeleteMany(BUCKET, List.of("x/k"), POLICY), "x/k");
    static final Keys TWO_OF_A_DIRECTORY =
        of(
            "two keys of a directory",
            new NamespaceCommand.DeleteMany(BUCKET, List.of("x/k", "x/l"), POLICY),
            "x/k",
            "x/l");
    static final Keys RENAMED_ACROSS =
        of(
            "two directories, by renaming a key",
            new NamespaceCommand.Rename(BUCKET, "x/k", "y/k", POLICY),
            "x/k",
            "y/k");
    static final Keys RENAMED_TREES =
        of(
            "two directories, by renaming one",
            new NamespaceCommand.Rename(BUCKET, "x/", "y/", POLICY),
            "x/k",
            "y/k");

    private static Keys of(String name, NamespaceCommand publish, String... keys) {
      List<String> names = List.of(keys);
      return new Keys(
          name,
          names,
          names.stream().map(key -> Directory.of(BUCKET, key)).toList(),
          Touched.by(publish));
    }
  }

  /** What may be done to them, each as often as it is named. */
  enum Fault {
    ELECTION,
    /** A command that touches nothing. */
    OTHER,
    /** A machine stands still, and its monotonic clock with it. */
    FREEZE,
    /** A process' clocks gain or lose a tick. */
    DRIFT,
    /** A revocation, or its confirmation, is lost. */
    LOSS,
    /** A revocation arrives twice. */
    DUPLICATE,
    /** A submitter hears that nobody knows whether its entry is going to be applied. */
    UNKNOWN,
    /** A submission is given up before it is proposed. */
    GIVE_UP,
    /** A client sends again while its first attempt is under way. */
    AGAIN;

    @SuppressWarnings("EnumOrdinal") // it does not leave the process
    int place() {
      return ordinal();
    }
  }

  /** How long leases may be by the settings of the voters, and by the log. */
  enum Settings {
    ALIKE,
    /** The first voter leads and is set to give no leases, and the log says that there are none. */
    TURNED_ON,
    /** The first voter is set to give none; the second leads, and the log says that there are. */
    TURNED_OFF;

    boolean areMixed() {
      return this != ALIKE;
    }
  }

  /**
   * How small the world is.
   *
   * @param nodes by process; two processes may be of one name
   * @param voters how many of the first processes may lead
   * @param readers the processes that read
   * @param asks that a process has under way at once
   */
  record Size(
      List<String> nodes,
      int voters,
      List<Integer> readers,
      Settings settings,
      Keys keys,
      int publishes,
      int asks,
      List<Fault> faults) {
    static Size of(List<String> nodes, int voters, List<Integer> readers, Fault... faults) {
      return new Size(nodes, voters, readers, Settings.ALIKE, Keys.ONE, 1, 1, List.of(faults));
    }

    Size with(Settings others) {
      return new Size(nodes, voters, readers, others, keys, publishes, asks, faults);
    }

    Size over(Keys others) {
      return new Size(nodes, voters, readers, settings, others, publishes, asks, faults);
    }

    Size times(int newPublishes, int newAsks) {
      return new Size(nodes, voters, readers, settings, keys, newPublishes, newAsks, faults);
    }

    /** For people. */
    String name() {
      String read = String.join(" ", readers.stream().map(nodes::get).toList());
      String text =
          "leases: %s, of which %d may lead and %s reads; %d x %s, %d asks"
              .formatted(String.join(" ", nodes), voters, read, publishes, keys.name(), asks);
      return text
          + (settings.areMixed() ? ", " + settings : "")
          + faults.stream().map(fault -> ", " + fault).collect(Collectors.joining());
    }

    long lengthNanos(int voter) {
      return settings.areMixed() && voter == 0 ? 0 : LENGTH_NANOS;
    }
  }

  private static final List<String> ALONE = List.of("a");
  private static final List<String> PAIR = List.of("a", "b");
  private static final List<String> THREE = List.of("a", "b", "c");
  private static final List<String> TWIN = List.of("a", "b", "b");
  private static final List<Integer> FIRST = List.of(0);
  private static final List<Integer> SECOND = List.of(1);
  private static final List<Integer> BOTH = List.of(0, 1);

  private static Size small(Fault... faults) {
    return Size.of(PAIR, 1, SECOND, faults);
  }

  private static Size led(Fault... faults) {
    return Size.of(PAIR, 2, SECOND, faults);
  }

  /** The worlds of leases. */
  static final Case CASE =
      new Case(
          "leases",
          List.of(
              world(small(DUPLICATE).times(2, 1), 300_000),
              world(small(FREEZE, DRIFT, LOSS), 300_000),
              world(small(UNKNOWN, GIVE_UP), 300_000),
              world(small().over(Keys.RENAMED_TREES), 300_000),
              world(Size.of(TWIN, 1, SECOND), 300_000),
              world(led(ELECTION), 300_000),
              world(led(ELECTION, ELECTION), 100_000),
              world(led(ELECTION).with(Settings.TURNED_OFF), 300_000),
              world(led(ELECTION, ELECTION).with(Settings.TURNED_ON), 100_000)),
          List.of(
              world(led(ELECTION, ELECTION), MOST),
              world(led(ELECTION, FREEZE), MOST),
              world(led(ELECTION, UNKNOWN), MOST),
              world(led(ELECTION, ELECTION, OTHER).with(Settings.TURNED_OFF), MOST),
              world(led(ELECTION, ELECTION).with(Settings.TURNED_ON), MOST),
              world(Size.of(PAIR, 1, BOTH), MOST),
              world(Size.of(THREE, 2, List.of(2), ELECTION, DRIFT), MOST),
              world(Size.of(THREE, 2, List.of(1, 2), ELECTION), MOST),
              world(small(FREEZE, DRIFT, LOSS, UNKNOWN, GIVE_UP), MOST),
              world(small(UNKNOWN, AGAIN).times(2, 1), MOST),
              world(small(FREEZE).times(2, 2), MOST),
              world(small(FREEZE, LOSS, UNKNOWN).over(Keys.TWO_OF_A_DIRECTORY), MOST),
              world(small(LOSS, DRIFT).over(Keys.RENAMED_ACROSS), MOST)),
          List.of(
              without(Rule.V1, small()),
              without(Rule.V1_GIVEN, small()),
              without(Rule.V1_UNKNOWN, small(UNKNOWN)),
              without(Rule.V1_LATE, small(GIVE_UP)),
              without(Rule.V1_RUN, Size.of(TWIN, 1, SECOND)),
              without(Rule.V2, led(ELECTION)),
              without(Rule.V2_TERM, led(ELECTION, ELECTION)),
              without(Rule.V2_UNBOUND, led(ELECTION, ELECTION).with(Settings.TURNED_ON)),
              without(Rule.V2_SAID, led(ELECTION, ELECTION).with(Settings.TURNED_ON)),
              without(Rule.V2_SHORTER, led(ELECTION, ELECTION, OTHER).with(Settings.TURNED_OFF)),
              without(Rule.V3, small()),
              without(Rule.V3_VOID, small()),
              without(Rule.V3_NEXT, small().over(Keys.TWO_OF_A_DIRECTORY)),
              without(Rule.V4, Size.of(ALONE, 1, FIRST)),
              without(Rule.V5, small()),
              without(Rule.V5_WALL, small(FREEZE)),
              without(Rule.V5_MARGIN, small(DRIFT)),
              without(Rule.V6, led(ELECTION))));

  private static Case.World world(Size size, int states) {
    return new Case.World(size.name(), () -> new LeaseScope(size), states);
  }

  private static Case.Mutation without(Rule rule, Size size) {
    return new Case.Mutation(rule, world(size, 1_000_000), "a read returned");
  }

  /** The clocks of one process, as they stand in the scene that is looked at. */
  private static final class Clock implements Env {
    private final int run;
    private long nanos;
    private long millis;

    Clock(int run) {
      this.run = run;
    }

    void at(Run process) {
      nanos = process.mono() * TICK_NANOS;
      millis = LeaseScope.millis(process.wall());
    }

    @Override
    public long nanoTime() {
      return nanos;
    }

    @Override
    public long wallMillis() {
      return millis;
    }

    @Override
    public RandomGenerator random() {
      return () -> run;
    }

    @Override
    public Thread spawn(String name, Runnable task) {
      throw new UnsupportedOperationException(name);
    }

    @Override
    public Timer schedule(long delayNanos, Runnable callback) {
      throw new UnsupportedOperationException();
    }
  }

  private final Size size;
  private final List<String> names = new ArrayList<>();
  private final List<Clock> clocks = new ArrayList<>();
  private final LeaseCode code;

  LeaseScope(Size size) {
    this.size = size;
    for (int i = 0; i < size.nodes().size(); i++) {
      names.add(size.nodes().get(i) + "/" + i);
      clocks.add(new Clock(i));
    }
    code = new LeaseCode(this, names.size());
  }

  private static List<NamespaceAnswer> answers() {
    var all = new ArrayList<NamespaceAnswer>();
    for (int i = 0; i < MOST_VERSIONS; i++) {
      all.add(new NamespaceAnswer.Refused(ErrorCode.NOT_FOUND, "version " + i));
    }
    return all;
  }

  static int version(NamespaceAnswer answer) {
    return ANSWERS.indexOf(answer);
  }

  static long millis(int ticks) {
    return ticks * TICK_NANOS / 1_000_000L;
  }

  static int wallTicks(long millis) {
    return (int) ((millis * 1_000_000L + TICK_NANOS - 1) / TICK_NANOS);
  }

  int place(Directory directory) {
    return size.keys().directories().indexOf(directory);
  }

  int key(Directory directory, String name) {
    int key = size.keys().names().indexOf(name);
    if (!size.keys().directories().get(key).equals(directory)) {
      throw new IllegalStateException(name + " does not lie in " + directory);
    }
    return key;
  }

  /** The leader has led for a full lease. */
  @Override
  public LeaseScene start() {
    var processes = new Run[names.size()];
    for (int i = 0; i < processes.length; i++) {
      Clock clock = clocks.get(i);
      var table = new LeaseTable(clock, size.lengthNanos(i), 0);
      processes[i] = new Run(0, 0, false, 0, 0, table, new LeaseCache(clock));
    }
    var scene = new LeaseScene(processes);
    scene.term = 1;
    scene.leader = size.settings() == Settings.TURNED_OFF ? 1 : 0;
    scene.leaders = (long) scene.leader << 4;
    scene.saidNanos = size.settings() == Settings.TURNED_ON ? 0 : LENGTH_NANOS;
    processes[scene.leader] = processes[scene.leader].leading(1, scene.picture());
    table(scene, scene.leader).begin(1);
    for (int i = 0; i < WAITED_TICKS; i++) {
      tick(scene, ALL, 1);
    }
    for (Fault fault : size.faults()) {
      scene.faults += 1L << (4 * fault.place());
    }
    return scene;
  }

  @Override
  public void encode(LeaseScene scene, ByteBuffer out) {
    code.encode(scene, out);
  }

  @Override
  public Optional<String> broken(LeaseScene scene) {
    return scene.broken;
  }

  @Override
  public String describe(LeaseScene scene) {
    return LeaseCode.describe(scene, names);
  }

  /** Everything is published, and every reader has it under a lease if the leader gives any. */
  @Override
  public boolean settled(LeaseScene scene) {
    if (scene.acknowledged != (1 << size.publishes()) - 1) {
      return false;
    }
    for (int i : size.lengthNanos(scene.leader) == 0 ? List.<Integer>of() : size.readers()) {
      for (int key = 0; key < size.keys().names().size(); key++) {
        if (known(scene, i, key).filter(version -> version == scene.version).isEmpty()) {
          return false;
        }
      }
    }
    return true;
  }

  @Override
  public void steps(LeaseScene scene, Steps<LeaseScene> out) {
    time(scene, out);
    for (int i = 0; i < names.size(); i++) {
      Run process = scene.processes[i];
      if (process.frozen()) {
        LeaseScene next = scene.copy();
        next.processes[i] = process.frozen(false);
        out.step(names.get(i) + " runs again", next);
      } else {
        if (size.readers().contains(i)) {
          read(scene, i, out);
          ask(scene, i, out);
        }
        lead(scene, i, out);
      }
    }
    for (int i = 0; i < scene.asks.size(); i++) {
      answer(scene, i, out);
    }
    for (int i = 0; i < scene.attempts.size(); i++) {
      proceed(scene, i, out);
    }
    for (int i = 0; i < scene.revocations.size(); i++) {
      revoke(scene, i, out);
    }
    if (!scene.pending.isEmpty() && isRunning(scene, scene.leader)) {
      out.step("the first pending entry is applied", commit(scene));
    }
  }

  private static boolean isRunning(LeaseScene scene, int process) {
    return !scene.processes[process].frozen();
  }

  private static boolean may(LeaseScene scene, Fault fault) {
    return LeaseScene.nibble(scene.faults, fault.place()) > 0;
  }

  private static LeaseScene suffer(LeaseScene scene, Fault fault) {
    LeaseScene next = scene.copy();
    next.faults -= 1L << (4 * fault.place());
    return next;
  }

  // Time.

  private void time(LeaseScene scene, Steps<LeaseScene> out) {
    LeaseScene next = scene.copy();
    tick(next, ALL, 1);
    out.step("a tick", next);
    for (int i = 0; i < names.size(); i++) {
      if (may(scene, Fault.DRIFT) && isRunning(scene, i)) {
        for (int ticks = 0; ticks <= 2; ticks += 2) {
          LeaseScene drifted = suffer(scene, Fault.DRIFT);
          tick(drifted, i, ticks);
          out.fault("a tick, of which " + names.get(i) + " sees " + ticks, drifted);
        }
      }
      if (may(scene, Fault.FREEZE) && isRunning(scene, i)) {
        LeaseScene frozen = suffer(scene, Fault.FREEZE);
        frozen.processes[i] = frozen.processes[i].frozen(true);
        out.fault(names.get(i) + " stands still", frozen);
      }
    }
  }

  private static void tick(LeaseScene next, int other, int otherTicks) {
    for (int i = 0; i < next.processes.length; i++) {
      Run process = next.processes[i];
      int ticks = i == other ? otherTicks : 1;
      next.processes[i] =
          process.at(process.mono() + (process.frozen() ? 0 : ticks), process.wall() + ticks);
    }
  }

  // A process' cache.

  private LeaseCache cache(LeaseScene next, int process) {
    Run before = next.processes[process];
    clocks.get(process).at(before);
    var cache = new LeaseCache(before.cache());
    next.processes[process] = before.with(cache);
    return cache;
  }

  /** What a process answers from memory; that it was asked changes nothing that counts here. */
  private Optional<Integer> known(LeaseScene scene, int process, int key) {
    clocks.get(process).at(scene.processes[process]);
    return scene
        .processes[process]
        .cache()
        .find(size.keys().directories().get(key), size.keys().names().get(key))
        .map(hit -> version(hit.answer()));
  }

  private void read(LeaseScene scene, int process, Steps<LeaseScene> out) {
    for (int key = 0; key < size.keys().names().size(); key++) {
      Optional<Integer> version = known(scene, process, key);
      if (version.isPresent() && version.get() != scene.floor) {
        LeaseScene next = scene.copy();
        returned(next, version.get(), scene.floor);
        out.step(said(process, key, version.get()) + " from memory", next);
      }
    }
  }

  private String said(int process, int key, int version) {
    return names.get(process) + " reads " + size.keys().names().get(key) + " = " + version;
  }

  private static void returned(LeaseScene next, int version, int floor) {
    if (version < floor) {
      next.broken = Optional.of("a read returned " + version + ", and " + floor + " was known");
    }
    next.floor = Math.max(next.floor, version);
  }

  private void ask(LeaseScene scene, int process, Steps<LeaseScene> out) {
    long underWay = scene.asks.stream().filter(ask -> ask.process() == process).count();
    if (underWay == size.asks()) {
      return;
    }
    for (int key = 0; key < size.keys().names().size(); key++) {
      if (known(scene, process, key).isPresent() && isYoung(scene, process, key)) {
        continue;
      }
      for (int voter = 0; voter < size.voters(); voter++) {
        Run asked = scene.processes[voter];
        if (asked.leads() != 0 && !asked.frozen()) {
          LeaseScene next = scene.copy();
          next.asks =
              LeaseScene.with(
                  scene.asks,
                  new Ask(
                      process,
                      key,
                      cache(next, process).begin(size.keys().directories().get(key)),
                      voter,
                      asked.leads(),
                      Asked.BEGUN,
                      Optional.empty(),
                      0,
                      scene.floor));
          out.step(
              names.get(process)
                  + " asks "
                  + names.get(voter)
                  + " for "
                  + size.keys().names().get(key),
              next);
        }
      }
    }
  }

  private boolean isYoung(LeaseScene scene, int process, int key) {
    return scene.processes[process].cache().known().stream()
        .filter(known -> known.directory().equals(size.keys().directories().get(key)))
        .anyMatch(known ->
            LeaseCode.ageTicks(scene.processes[process], known.since()) < LENGTH_TICKS / 2);
  }

  private void answer(LeaseScene scene, int place, Steps<LeaseScene> out) {
    Ask ask = scene.asks.get(place);
    boolean runs = isRunning(scene, ask.voter());
    boolean hears = isRunning(scene, ask.process());
    String whose = " the question of " + names.get(ask.process());
    switch (ask.stage()) {
      case BEGUN -> {
        if (runs && (scene.isLeader(ask.voter()) || !Rule.V6.holds())) {
          out.step(
              names.get(ask.voter()) + " is confirmed, for" + whose,
              asked(scene.copy(), place, ask.to(Asked.CONFIRMED)));
        }
      }
      case CONFIRMED -> {
        if (runs) {
          if (Rule.V3.holds()) {
            out.step("registered:" + whose, registered(scene, place, Asked.HALF));
          } else {
            out.step("read:" + whose, valued(scene, place, Asked.HALF));
          }
        }
      }
      case HALF -> {
        if (runs) {
          if (Rule.V3.holds()) {
            out.step("read:" + whose, valued(scene, place, Asked.ANSWERED));
          } else {
            out.step("registered:" + whose, registered(scene, place, Asked.ANSWERED));
          }
        }
      }
      case ANSWERED -> {
        if (hears) {
          LeaseScene next = scene.copy();
          next.asks = LeaseScene.without(scene.asks, place);
          LeaseCache cache = cache(next, ask.process());
          if (ask.grant().isPresent()) {
            cache.end(
                ask.ticket(),
                ask.grant().get(),
                size.keys().names().get(ask.key()),
                ANSWERS.get(ask.value()),
                1);
          } else {
            cache.end(ask.ticket());
          }
          returned(next, ask.value(), ask.floor());
          out.step(said(ask.process(), ask.key(), ask.value()), next);
        }
      }
    }
    boolean isVain = ask.stage() == Asked.BEGUN && !scene.isLeader(ask.voter());
    if (hears && (isVain || ask.stage() == Asked.ANSWERED)) {
      LeaseScene next = scene.copy();
      next.asks = LeaseScene.without(scene.asks, place);
      cache(next, ask.process()).end(ask.ticket());
      out.step("in vain:" + whose, next);
    }
  }

  private static LeaseScene asked(LeaseScene next, int place, Ask ask) {
    next.asks = LeaseScene.with(next.asks, place, ask);
    return next;
  }

  private LeaseScene registered(LeaseScene scene, int place, Asked stage) {
    Ask ask = scene.asks.get(place);
    LeaseScene next = scene.copy();
    if (size.lengthNanos(ask.voter()) == 0) {
      return asked(next, place, ask.to(stage));
    }
    LeaseTable table = table(next, ask.voter(), ask.term());
    NodeId node = new NodeId(size.nodes().get(ask.process()));
    Optional<Grant> grant =
        table.grant(
            ask.term(),
            ask.ticket().directory(),
            new LeaseTable.Holder(node, scene.processes[ask.process()].cache().run()));
    return asked(next, place, ask.with(grant, stage));
  }

  private static LeaseScene valued(LeaseScene scene, int place, Asked stage) {
    Ask ask = scene.asks.get(place);
    int map = scene.processes[ask.voter()].map();
    long said = (map & 1) * LENGTH_NANOS;
    Ask valued = ask.with(map >> 1, stage);
    return asked(
        scene.copy(),
        place,
        valued.with(ask.grant().filter(grant -> grant.isCoveredBy(said)), stage));
  }

  // A voter.

  /** A voter's table, which has heard of a term that it leads. */
  private LeaseTable table(LeaseScene next, int voter, int term) {
    LeaseTable table = table(next, voter);
    long known = table.book().term();
    table.begin(term);
    if (term > known) {
      next.attempts =
          LeaseScene.without(
              next.attempts,
              attempt -> attempt.voter() == voter && attempt.stage() == Stage.UNKNOWN);
    }
    return table;
  }

  private LeaseTable table(LeaseScene next, int voter) {
    Run before = next.processes[voter];
    clocks.get(voter).at(before);
    var table = new LeaseTable(before.table());
    next.processes[voter] = before.with(table);
    return table;
  }

  private void lead(LeaseScene scene, int voter, Steps<LeaseScene> out) {
    if (voter >= size.voters()) {
      return;
    }
    Run process = scene.processes[voter];
    if (may(scene, Fault.ELECTION)) {
      for (int kept = 0; kept <= scene.pending.size(); kept++) {
        out.fault(
            names.get(voter) + " is elected, with " + kept + " of the pending entries",
            elected(scene, voter, kept));
      }
    }
    if (process.leads() == 0) {
      if (process.map() != scene.picture()) {
        LeaseScene next = scene.copy();
        next.processes[voter] = process.leading(0, scene.picture());
        out.step(names.get(voter) + " follows", next);
      }
      return;
    }
    if (scene.isLeader(voter)) {
      say(scene, voter, out);
    } else {
      LeaseScene next = scene.copy();
      next.processes[voter] = process.leading(0, process.map());
      fail(next, attempt -> attempt.voter() == voter);
      out.step(names.get(voter) + " hears that it does not lead", next);
    }
    if (process.table().book().term() < process.leads() && longestNanos(scene, voter) > 0) {
      LeaseScene next = scene.copy();
      table(next, voter, process.leads());
      out.step(names.get(voter) + " notices its election", next);
    }
    for (int publish = 0; publish <= scene.started && publish < size.publishes(); publish++) {
      if ((scene.acknowledged & 1 << publish) != 0) {
        continue;
      }
      int which = publish;
      boolean waits =
          scene.attempts.stream()
              .anyMatch(each -> each.publish() == which && each.stage() != Stage.UNKNOWN);
      String name = " publish " + (publish + 1) + " at " + names.get(voter);
      if (!waits) {
        out.step("begin to" + name, begun(scene.copy(), publish, voter));
      } else if (may(scene, Fault.AGAIN)) {
        out.fault("send again, to" + name, begun(suffer(scene, Fault.AGAIN), publish, voter));
      }
    }
  }

  /** Entries without a publish: that there are leases, or any other command. */
  private void say(LeaseScene scene, int voter, Steps<LeaseScene> out) {
    boolean announces =
        scene.saidNanos < size.lengthNanos(voter)
            && scene.pending.stream().noneMatch(entry -> entry.boundTerm() == scene.term);
    if (announces) {
      out.step(names.get(voter) + " says that there are leases", said(scene.copy(), voter));
    }
    if (may(scene, Fault.OTHER)) {
      out.fault(
          names.get(voter) + " proposes something else", said(suffer(scene, Fault.OTHER), voter));
    }
  }

  private LeaseScene said(LeaseScene next, int voter) {
    int bound = longestNanos(next, voter) == 0 ? 0 : next.term;
    next.pending = LeaseScene.with(next.pending, entry(next, voter, -1, bound, 0));
    return next;
  }

  /** The longest lease that may be out, as a leader knows; 0: there are none. */
  private long longestNanos(LeaseScene scene, int leader) {
    long said = (scene.processes[leader].map() & 1) * LENGTH_NANOS;
    return Math.max(size.lengthNanos(leader), said);
  }

  private Entry entry(LeaseScene next, int voter, int publish, int boundTerm, long block) {
    long said = (next.processes[voter].map() & 1) * LENGTH_NANOS;
    return new Entry(
        publish,
        boundTerm,
        block,
        boundTerm == 0 ? 0 : table(next, voter, boundTerm).toSayNanos(boundTerm, said));
  }

  private LeaseScene elected(LeaseScene scene, int voter, int kept) {
    LeaseScene next = suffer(scene, Fault.ELECTION);
    var applied = new ArrayList<Entry>();
    for (Entry entry : scene.pending.subList(0, kept)) {
      if (next.apply(entry, scene.term)) {
        applied.add(entry);
      }
    }
    next.pending = List.of();
    next.term++;
    next.leader = voter;
    next.leaders |= (long) voter << (4 * next.term);
    next.processes[voter] = next.processes[voter].leading(next.term, next.picture());
    fail(
        next,
        attempt ->
            attempt.voter() == voter
                || (attempt.voter() == scene.leader
                    && applied.stream().noneMatch(entry -> entry.isOf(attempt))));
    return next;
  }

  /** Nobody will be told what becomes of what was proposed. */
  private void fail(LeaseScene next, Predicate<Attempt> those) {
    next.attempts =
        next.attempts.stream()
            .flatMap(attempt ->
                attempt.stage() == Stage.PROPOSED && those.test(attempt)
                    ? unknown(next, attempt)
                    : Stream.of(attempt))
            .toList();
  }

  /** What is left of an attempt whose submitter is told that nobody knows. */
  private Stream<Attempt> unknown(LeaseScene next, Attempt attempt) {
    if (attempt.block() == 0) {
      return Stream.empty();
    }
    table(next, attempt.voter()).unknown(attempt.term(), attempt.block());
    return Stream.of(attempt.to(Stage.UNKNOWN));
  }

  private LeaseScene failed(LeaseScene next, int place) {
    Attempt attempt = next.attempts.get(place);
    next.attempts = LeaseScene.without(next.attempts, place);
    next.attempts = Stream.concat(next.attempts.stream(), unknown(next, attempt)).toList();
    return next;
  }

  private LeaseScene begun(LeaseScene next, int publish, int voter) {
    next.started = Math.max(next.started, publish + 1);
    int term = next.processes[voter].leads();
    long longest = longestNanos(next, voter);
    if (longest == 0) {
      next.attempts =
          LeaseScene.with(
              next.attempts, new Attempt(publish, voter, 0, 0, Stage.ADMITTED, List.of(), 0, 0));
      return next;
    }
    LeaseTable table = table(next, voter, term);
    LeaseTable.Blocked blocked = table.block(term, size.keys().touched(), longest).orElseThrow();
    List<LeaseTable.Lease> awaited = blocked.ends().leases();
    for (LeaseTable.Lease lease : blocked.revoke()) {
      if (!Rule.V4.holds() && lease.holder().node().name().equals(size.nodes().get(voter))) {
        table.gone(lease);
        awaited = LeaseScene.without(awaited, each -> each.number() == lease.number());
      } else {
        next.revocations = LeaseScene.with(next.revocations, new Revocation(voter, lease, false));
      }
    }
    next.attempts =
        LeaseScene.with(
            next.attempts,
            new Attempt(
                publish,
                voter,
                term,
                blocked.block(),
                Stage.WAITING,
                awaited,
                blocked.ends().untilNanos(),
                blocked.notBeforeNanos()));
    return next;
  }

  private void proceed(LeaseScene scene, int place, Steps<LeaseScene> out) {
    Attempt attempt = scene.attempts.get(place);
    int voter = attempt.voter();
    if (!isRunning(scene, voter)) {
      return;
    }
    String which = " publish " + (attempt.publish() + 1) + " at " + names.get(voter);
    switch (attempt.stage()) {
      case WAITING -> {
        long now = scene.processes[voter].mono() * TICK_NANOS;
        boolean over = attempt.awaited().isEmpty() || now >= attempt.untilNanos();
        if (over && now >= attempt.notBeforeNanos()) {
          out.step("admitted:" + which, attempted(scene.copy(), place, attempt.to(Stage.ADMITTED)));
        }
        giveUp(scene, place, which, out);
      }
      case ADMITTED -> {
        LeaseScene next = scene.copy();
        if (scene.isLeader(voter)) {
          next.pending =
              LeaseScene.with(
                  scene.pending,
                  entry(next, voter, attempt.publish(), attempt.term(), attempt.block()));
          out.step("proposed:" + which, attempted(next, place, attempt.to(Stage.PROPOSED)));
        } else if (scene.processes[voter].leads() == 0) {
          out.step("refused:" + which, failed(next, place));
        } // else it waits for a majority, until its voter hears of the new leader
        giveUp(scene, place, which, out);
      }
      case PROPOSED -> {
        if (scene.place(attempt) >= 0) {
          if (may(scene, Fault.UNKNOWN)) {
            out.fault("unknown:" + which, failed(suffer(scene, Fault.UNKNOWN), place));
          }
        } else {
          // It was kept by another leader, before whose election it had a majority.
          LeaseScene next = scene.copy();
          Run process = scene.processes[voter];
          int version = scene.versionOf(attempt.publish());
          if (process.map() >> 1 < version) {
            int map = LeaseScene.picture(version, (process.map() & 1) != 0);
            next.processes[voter] = process.leading(process.leads(), map);
          }
          table(next, voter).settle(attempt.term(), attempt.block());
          next.attempts = LeaseScene.without(scene.attempts, place);
          next.acknowledge(attempt.publish());
          out.step("answered after all:" + which, next);
        }
      }
      case UNKNOWN -> {
        if (scene.isLeader(voter) && attempt.term() == scene.term && scene.place(attempt) < 0) {
          LeaseScene next = scene.copy();
          table(next, voter).settle(attempt.term(), attempt.block());
          next.attempts = LeaseScene.without(scene.attempts, place);
          out.step("known by a later entry:" + which, next);
        }
      }
    }
  }

  private static LeaseScene attempted(LeaseScene next, int place, Attempt attempt) {
    next.attempts = LeaseScene.with(next.attempts, place, attempt);
    return next;
  }

  private void giveUp(LeaseScene scene, int place, String which, Steps<LeaseScene> out) {
    if (may(scene, Fault.GIVE_UP)) {
      Attempt attempt = scene.attempts.get(place);
      LeaseScene next = suffer(scene, Fault.GIVE_UP);
      table(next, attempt.voter()).settle(attempt.term(), attempt.block());
      next.attempts = LeaseScene.without(scene.attempts, place);
      out.fault("given up:" + which, next);
    }
  }

  private LeaseScene commit(LeaseScene scene) {
    LeaseScene next = scene.copy();
    Entry entry = scene.pending.getFirst();
    next.pending = LeaseScene.without(scene.pending, 0);
    boolean meant = next.apply(entry, scene.term);
    int leader = scene.leader;
    next.processes[leader] = next.processes[leader].leading(scene.term, next.picture());
    for (int i = 0; i < scene.attempts.size(); i++) {
      Attempt attempt = scene.attempts.get(i);
      if (attempt.voter() == leader && attempt.stage() == Stage.PROPOSED && entry.isOf(attempt)) {
        table(next, leader).settle(attempt.term(), attempt.block());
        next.attempts = LeaseScene.without(scene.attempts, i);
        if (meant) {
          next.acknowledge(entry.publish());
        }
        return next;
      }
    }
    return next;
  }

  private void revoke(LeaseScene scene, int place, Steps<LeaseScene> out) {
    Revocation revocation = scene.revocations.get(place);
    LeaseTable.Lease lease = revocation.lease();
    if (may(scene, Fault.LOSS)) {
      LeaseScene next = suffer(scene, Fault.LOSS);
      next.revocations = LeaseScene.without(scene.revocations, place);
      out.fault("a revocation is lost, or its answer", next);
    }
    if (revocation.confirmed()) {
      if (isRunning(scene, revocation.voter())) {
        LeaseScene next = scene.copy();
        table(next, revocation.voter()).gone(lease);
        next.revocations = LeaseScene.without(scene.revocations, place);
        next.attempts =
            scene.attempts.stream()
                .map(attempt ->
                    attempt.voter() == revocation.voter() ? attempt.without(lease) : attempt)
                .toList();
        out.step(names.get(revocation.voter()) + " hears that a lease is gone", next);
      }
      return;
    }
    for (int i = 0; i < names.size(); i++) {
      if (size.nodes().get(i).equals(lease.holder().node().name()) && isRunning(scene, i)) {
        String name = names.get(i) + " hears of a revocation";
        out.step(name, heard(scene.copy(), place, i, false));
        if (may(scene, Fault.DUPLICATE)) {
          out.fault(
              name + ", for the first time", heard(suffer(scene, Fault.DUPLICATE), place, i, true));
        }
      }
    }
  }

  private LeaseScene heard(LeaseScene next, int place, int process, boolean again) {
    Revocation revocation = next.revocations.get(place);
    LeaseTable.Lease lease = revocation.lease();
    boolean known = cache(next, process).revoke(lease.holder().run(), List.of(lease.directory()));
    List<Revocation> left = again ? next.revocations : LeaseScene.without(next.revocations, place);
    next.revocations =
        known ? LeaseScene.with(left, new Revocation(revocation.voter(), lease, true)) : left;
    return next;
  }
}
