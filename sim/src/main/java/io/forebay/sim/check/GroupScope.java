package io.forebay.sim.check;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.net.Admission;
import io.forebay.core.net.ChunkAck;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Hop;
import io.forebay.core.net.HopAck;
import io.forebay.core.rule.Rule;
import io.forebay.core.volume.ChunkAppender;
import io.forebay.core.volume.StoredChunk;
import io.forebay.core.volume.Volume;
import io.forebay.core.volume.VolumeUsage;
import io.forebay.node.replica.CapacitySettings;
import io.forebay.node.replica.DoubtedChunks;
import io.forebay.node.replica.Fill;
import io.forebay.node.replica.Lease;
import io.forebay.node.replica.MemoryTier;
import io.forebay.node.replica.Recency;
import io.forebay.node.replica.Replica;
import io.forebay.node.replica.Volumes;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;

/**
 * One group: its record in the cluster's log, replicas, writers, re-sync and reviving. Production
 * are the log's machine and what a {@link Replica} admits, commits, lists, confirms and calls
 * absent. What {@code ChunkSend} and {@code Resync} do with the answers is walked here step by
 * step, for between any two of their steps anything may happen.
 *
 * <p>Each node has one volume. A chunk stays owed from its acknowledgement on; a writer that gives
 * up ends its session.
 */
final class GroupScope implements Scope<GroupScope.World> {
  /**
   * How small the world is.
   *
   * @param nodes as many as members of the group, and one more where something moves
   * @param crashes of processes; what they held stays
   * @param suspicions of nodes that are there
   * @param reboots of machines; what was not synced may be gone
   * @param wipes of disks
   * @param oneOut whether the second node was expelled already
   * @param moves of a member to the node that is none
   */
  record Size(
      int nodes,
      int minInSync,
      int chunks,
      int crashes,
      int suspicions,
      int reboots,
      int wipes,
      boolean oneOut,
      int moves) {
    Size(
        int nodes, int minInSync, int chunks, int crashes, int suspicions, int reboots, int wipes) {
      this(nodes, minInSync, chunks, crashes, suspicions, reboots, wipes, false, 0);
    }

    int replicas() {
      return moves == 0 ? nodes : nodes - 1;
    }
  }

  private static final Case.World SUSPECTED =
      world("two members, one suspected wrongly, one loses power", new Size(2, 2, 1, 0, 1, 1, 0));
  private static final Case.World DYING =
      world("two members, one dies, one loses power", new Size(2, 2, 1, 1, 0, 1, 0));
  private static final Case.World WIPED =
      world("two members, one dies, one is wiped", new Size(2, 2, 1, 1, 0, 0, 1));
  private static final Case.World ALONE =
      world("two members that may write alone, two faults", new Size(2, 1, 1, 0, 2, 0, 0));

  private static final Case.World DARK =
      world("two members that both lose power", new Size(2, 2, 1, 0, 0, 2, 0));
  private static final Case.World BEHIND =
      world("three members, one out, one loses power", new Size(3, 2, 1, 0, 0, 1, 0, true, 0));
  private static final Case.World MOVED =
      world("two members, one moves, one loses power", new Size(3, 2, 1, 0, 0, 1, 0, false, 1));

  private static final Case.World CATCHING_UP =
      world(
          "two members, one catches up and moves, one is wiped",
          new Size(3, 1, 1, 0, 0, 0, 1, true, 1));

  /** What is explored. */
  static final Case CASE =
      new Case(
          "group",
          List.of(SUSPECTED, DYING, WIPED, ALONE, DARK),
          List.of(
              BEHIND,
              MOVED,
              CATCHING_UP,
              world(
                  "two members, one moves, one suspected wrongly",
                  new Size(3, 2, 1, 0, 1, 0, 0, false, 1)),
              world(
                  "two members, one moves, one dies, one is wiped",
                  new Size(3, 2, 1, 1, 0, 0, 1, false, 1)),
              world("two members, four faults", new Size(2, 2, 1, 1, 1, 1, 1)),
              world("two members, two chunks, two faults", new Size(2, 2, 2, 0, 1, 1, 0)),
              world(
                  "two members that may write alone, three faults", new Size(2, 1, 1, 0, 1, 1, 1)),
              world("three members, two suspected wrongly", new Size(3, 2, 1, 0, 2, 0, 0)),
              world(
                  "three members, one suspected wrongly, one wiped",
                  new Size(3, 2, 1, 0, 1, 0, 1))),
          List.of(
              new Case.Mutation(Rule.R1, SUSPECTED, "is in sync and lacks"),
              new Case.Mutation(Rule.R1_COMMIT, SUSPECTED, "is in sync and lacks"),
              new Case.Mutation(Rule.R2, SUSPECTED, "is in sync and lacks"),
              new Case.Mutation(Rule.R3, ALONE, "is in sync and lacks"),
              new Case.Mutation(Rule.R4, SUSPECTED, "is in sync and lacks"),
              new Case.Mutation(Rule.R4_NAMED, SUSPECTED, "is in sync and lacks"),
              new Case.Mutation(Rule.R5, DYING, "is in sync and lacks"),
              new Case.Mutation(Rule.R6, DYING, "absent"),
              new Case.Mutation(Rule.R6_SOURCE, BEHIND, "is in sync and lacks"),
              new Case.Mutation(Rule.R7, SUSPECTED, "is acknowledged, and nobody has it"),
              new Case.Mutation(Rule.R8, ALONE, "absent"),
              new Case.Mutation(Rule.R9, SUSPECTED, "fewer than minInSync"),
              new Case.Mutation(Rule.R11, WIPED, "catches up with nobody"),
              new Case.Mutation(Rule.R12, SUSPECTED, "is in sync and lacks"),
              new Case.Mutation(Rule.R12_UNION, DARK, "is in sync and lacks"),
              new Case.Mutation(Rule.MOVE_KEEPS, MOVED, "is in sync and lacks"),
              new Case.Mutation(Rule.MOVE_KEEPS, CATCHING_UP, "is in sync and lacks")));

  private static final int MOST = 6_000_000;
  private static final long GRACE_MILLIS = 1_000; // is never over: only what is gone is replaced
  private static final int BYTES = 1;
  private static final int CRC = 7;
  private static final GroupId GROUP = new GroupId(1);
  private static final byte NEW = 0;
  private static final byte OPEN = 1;
  private static final byte ACKNOWLEDGED = 2;
  private static final byte WRITERLESS = 3; // nobody writes on; the session has not ended yet
  private static final byte ENDED = 4;
  private static final List<String> STATES =
      List.of("new", "open", "acknowledged", "writerless", "given up");

  /** A state. Sets are bits: of chunks, or of members by the place of their node. */
  static final class World {
    int cluster;
    // By node.
    final boolean[] up;
    final int[] image; // what the process knows
    final byte[] disk; // which one, from 0
    final byte[] boot;
    final byte[] held;
    final byte[] admitted;
    final byte[] joining; // join epoch of the re-sync under way; 0: none
    final byte[] lacking; // chunks that it still has to get
    final byte[] asked; // whose lists it has, where all compare
    final byte[] promotion; // join epoch of one under way to the log; 0: none
    // By chunk.
    final byte[] state;
    final int[] opened; // the cluster as its writer knew it
    final byte[] answered; // STORED, under way to the writer
    final byte[] acknowledged;
    final byte[] destroyed; // copies
    byte revived; // epoch of one under way to the log; 0: none
    byte crashes;
    byte suspicions;
    byte reboots;
    byte wipes;
    byte moves;

    World(int nodes, int chunks) {
      up = new boolean[nodes];
      image = new int[nodes];
      disk = new byte[nodes];
      boot = new byte[nodes];
      held = new byte[nodes];
      admitted = new byte[nodes];
      joining = new byte[nodes];
      lacking = new byte[nodes];
      asked = new byte[nodes];
      promotion = new byte[nodes];
      state = new byte[chunks];
      opened = new int[chunks];
      answered = new byte[chunks];
      acknowledged = new byte[chunks];
      destroyed = new byte[chunks];
    }

    private World(World from) {
      cluster = from.cluster;
      up = from.up.clone();
      image = from.image.clone();
      disk = from.disk.clone();
      boot = from.boot.clone();
      held = from.held.clone();
      admitted = from.admitted.clone();
      joining = from.joining.clone();
      lacking = from.lacking.clone();
      asked = from.asked.clone();
      promotion = from.promotion.clone();
      state = from.state.clone();
      opened = from.opened.clone();
      answered = from.answered.clone();
      acknowledged = from.acknowledged.clone();
      destroyed = from.destroyed.clone();
      revived = from.revived;
      crashes = from.crashes;
      suspicions = from.suspicions;
      reboots = from.reboots;
      wipes = from.wipes;
      moves = from.moves;
    }

    World with(Consumer<World> change) {
      var next = new World(this);
      change.accept(next);
      return next;
    }
  }

  private static Case.World world(String name, Size size) {
    return new Case.World("group: " + name, () -> new GroupScope(size), MOST);
  }

  private final Size size;
  private final Family family;
  private final Clusters clusters = new Clusters(GROUP);
  private final Map<VolumeId, Place> places = new HashMap<>();
  private final Env env = new Still();
  private final SlabPool pool = new SlabPool(env, 4096, 1);

  GroupScope(Size size) {
    this.size = size;
    this.family = new Family(size.replicas(), size.minInSync(), Durability.REPLICATED);
  }

  @Override
  public World start() {
    var world = new World(size.nodes(), size.chunks());
    var commands = new ArrayList<ClusterCommand>();
    commands.add(new ClusterCommand.Initialize("check"));
    for (int i = 0; i < size.nodes(); i++) {
      world.up[i] = true;
      world.boot[i] = 1;
      commands.add(registration(world, i));
    }
    commands.add(
        new ClusterCommand.CreateBucket(
            new Bucket(
                new BucketId(0),
                "bucket",
                family,
                "",
                FlushMode.CACHE_ONLY,
                List.of(),
                1 << 20,
                0,
                0,
                0)));
    world.cluster = clusters.after(commands);
    for (int i = 0; i < size.nodes(); i++) {
      world.image[i] = world.cluster;
    }
    if (size.oneOut()) {
      world.cluster = expelled(world, 1);
    }
    world.crashes = (byte) size.crashes();
    world.suspicions = (byte) size.suspicions();
    world.reboots = (byte) size.reboots();
    world.wipes = (byte) size.wipes();
    world.moves = (byte) size.moves();
    return world;
  }

  // Names.

  private static NodeId node(int i) {
    return new NodeId(String.valueOf((char) ('a' + i)));
  }

  private static VolumeId volume(World w, int i) {
    return new VolumeId(10L * w.disk[i] + i + 1);
  }

  private static int nodeOf(VolumeId volume) {
    return (int) ((volume.value() - 1) % 10);
  }

  private static Incarnation incarnation(World w, int i) {
    return new Incarnation(volume(w, i).value(), w.boot[i]);
  }

  private static ChunkId chunk(int c) {
    return new ChunkId(new SessionId(c + 1), 1);
  }

  private static String name(int c) {
    return String.valueOf((char) ('x' + c));
  }

  private static boolean has(int bits, int i) {
    return (bits & 1 << i) != 0;
  }

  private static ClusterCommand registration(World w, int i) {
    return new ClusterCommand.RegisterNode(
        node(i),
        node(i).name() + ":1",
        "",
        List.of(
            new ClusterCommand.RegisterNode.Announced(volume(w, i), incarnation(w, i), 1L << 30)));
  }

  /** The member that this node's volume, as it is now, is in a group. */
  private static Optional<Member> member(World w, int i, Group group) {
    return group
        .member(volume(w, i))
        .filter(member -> member.incarnation().equals(incarnation(w, i)));
  }

  private int epoch(World w, int c) {
    return (int) clusters.group(w.opened[c]).epoch().value();
  }

  // What may happen.

  @Override
  public void steps(World w, Steps<World> out) {
    for (int c = 0; c < size.chunks(); c++) {
      writer(w, c, out);
    }
    for (int i = 0; i < size.nodes(); i++) {
      life(w, i, out);
      if (w.up[i]) {
        resync(w, i, out);
      }
      if (w.promotion[i] != 0) {
        promotion(w, i, out);
      }
    }
    int replaced = clusters.after(w.cluster, new ClusterCommand.ReplaceLost(GRACE_MILLIS));
    if (replaced != w.cluster) {
      out.step("what is lost is replaced", w.with(n -> n.cluster = replaced));
    }
    if (size.moves() > 0) {
      moves(w, out);
    }
    if (w.revived != 0) {
      out.step(
          "the log takes that the group revived in epoch " + w.revived,
          w.with(n -> {
            n.cluster =
                clusters.after(w.cluster, new ClusterCommand.Revived(GROUP, new Epoch(w.revived)));
            n.revived = 0;
          }));
    }
    for (int i = 0; i < size.nodes(); i++) {
      faults(w, i, out);
    }
  }

  /** A member moves, and is taken back; who was left deletes what it holds. */
  private void moves(World w, Steps<World> out) {
    Group group = clusters.group(w.cluster);
    for (Member from : group.members()) {
      for (int to = 0; to < size.nodes() && w.moves > 0; to++) {
        int moved =
            clusters.after(
                w.cluster,
                new ClusterCommand.MoveMember(GROUP, group.epoch(), from.volume(), volume(w, to)));
        if (moved != w.cluster) {
          out.step(
              from.volume() + " moves to " + node(to),
              w.with(n -> {
                n.moves--;
                n.cluster = moved;
              }));
        }
      }
    }
    int back = clusters.after(w.cluster, new ClusterCommand.CancelMove(GROUP, group.epoch()));
    if (back != w.cluster) {
      out.step("the move is taken back", w.with(n -> n.cluster = back));
    }
    for (int i = 0; i < size.nodes(); i++) {
      Group known = clusters.group(w.image[i]);
      boolean left =
          known.member(volume(w, i)).isEmpty()
              && !known.reviving()
              && known.in(MemberState.IN_SYNC).size() >= size.replicas();
      if (w.up[i] && left && w.held[i] != 0) {
        int node = i;
        out.step(node(i) + " deletes what it has left", w.with(n -> n.held[node] = 0));
      }
    }
  }

  private void writer(World w, int c, Steps<World> out) {
    int home = c % size.nodes();
    switch (w.state[c]) {
      case NEW -> {
        if (w.up[home] && clusters.group(w.image[home]).writable()) {
          out.step(
              node(home) + " begins " + name(c) + " in " + clusters.group(w.image[home]).epoch(),
              w.with(n -> {
                n.state[c] = OPEN;
                n.opened[c] = w.image[home];
              }));
        }
      }
      case OPEN -> {
        List<Member> members = clusters.group(w.opened[c]).writers();
        for (Member member : members) {
          int i = nodeOf(member.volume());
          put(w, c, i, member.volume(), out);
          have(w, c, i, member.volume(), out);
          if (has(w.answered[c], i) && !has(w.acknowledged[c], i)) {
            out.step(
                "the writer of " + name(c) + " hears " + node(i),
                w.with(n -> {
                  n.acknowledged[c] |= (byte) (1 << i);
                  n.answered[c] &= (byte) ~(1 << i);
                  if (all(n, c, members).allStored()) {
                    n.state[c] = ACKNOWLEDGED;
                    n.answered[c] = 0;
                  }
                }));
          }
        }
        out.step("the writer of " + name(c) + " gives it up", w.with(n -> leave(n, c)));
      }
      case WRITERLESS -> {
        for (Member member : clusters.group(w.opened[c]).writers()) {
          put(w, c, nodeOf(member.volume()), member.volume(), out); // late
        }
        out.step("the session of " + name(c) + " ends", w.with(n -> n.state[c] = ENDED));
      }
      default -> {}
    }
    for (int i = 0; i < size.nodes(); i++) {
      if (w.up[i] && has(w.admitted[i], c)) {
        commit(w, c, i, out);
      }
    }
  }

  private static void leave(World n, int c) {
    n.state[c] = WRITERLESS;
    n.answered[c] = 0;
    n.acknowledged[c] = 0;
  }

  private static ChunkAck all(World w, int c, List<Member> members) {
    return new ChunkAck(
        members.stream()
            .map(member ->
                has(w.acknowledged[c], nodeOf(member.volume()))
                    ? HopAck.stored(member.volume())
                    : HopAck.unreached(member.volume(), ""))
            .toList());
  }

  private ChunkPut head(World w, int c, VolumeId volume) {
    return new ChunkPut(
        chunk(c),
        GROUP,
        clusters.group(w.opened[c]).epoch(),
        family.durability(),
        BYTES,
        List.of(new Hop(node(nodeOf(volume)), volume)));
  }

  private boolean reaches(World w, int i, VolumeId volume) {
    return w.up[i] && volume(w, i).equals(volume);
  }

  private void put(World w, int c, int i, VolumeId volume, Steps<World> out) {
    if (!reaches(w, i, volume) || has(w.held[i], c) || has(w.admitted[i], c)) {
      return;
    }
    if (place(w, i, w.image[i]).replica.admit(node(c % size.nodes()), head(w, c, volume))
        instanceof Admission.Accept) {
      out.step(node(i) + " receives " + name(c), w.with(n -> n.admitted[i] |= (byte) (1 << c)));
    }
  }

  private void commit(World w, int c, int i, Steps<World> out) {
    VolumeId volume = volume(w, i);
    if (!(place(w, i, w.opened[c]).replica.admit(node(c % size.nodes()), head(w, c, volume))
        instanceof Admission.Accept(var sink))) {
      return;
    }
    place(w, i, w.image[i]);
    boolean stored = sink.commit(BYTES, CRC).status() == HopAck.Status.STORED;
    out.step(
        node(i) + (stored ? " stores " : " refuses to store ") + name(c),
        w.with(n -> {
          n.admitted[i] &= (byte) ~(1 << c);
          if (stored) {
            n.held[i] |= (byte) (1 << c);
            answer(n, c, i);
          }
        }));
  }

  private static void answer(World n, int c, int i) {
    if (n.state[c] == OPEN && !has(n.acknowledged[c], i)) {
      n.answered[c] |= (byte) (1 << i);
    }
  }

  private void have(World w, int c, int i, VolumeId volume, Steps<World> out) {
    if (!reaches(w, i, volume)
        || !has(w.held[i], c)
        || has(w.answered[c], i)
        || has(w.acknowledged[c], i)) {
      return;
    }
    var question =
        new DataMessage.ChunkHave(
            volume, chunk(c), GROUP, clusters.group(w.opened[c]).epoch(), BYTES, CRC);
    if (place(w, i, w.image[i]).replica.handle(question).message()
            instanceof DataMessage.ChunkHaveAck(var ack)
        && ack.status() == HopAck.Status.STORED) {
      out.step(node(i) + " says that it has " + name(c), w.with(n -> answer(n, c, i)));
    }
  }

  private void life(World w, int i, Steps<World> out) {
    boolean known = clusters.image(w.cluster).nodes().get(i).state() != NodeState.DOWN;
    if (!w.up[i]) {
      if (known) {
        out.step("the cluster expels " + node(i), w.with(n -> n.cluster = expelled(w, i)));
      }
      out.step(
          node(i) + " starts",
          w.with(n -> {
            n.up[i] = true;
            register(n, i);
          }));
      return;
    }
    if (!known) {
      out.step(node(i) + " registers again", w.with(n -> register(n, i)));
    }
    if (w.image[i] != w.cluster) {
      out.step(
          node(i) + " learns " + clusters.group(w.cluster).epoch(),
          w.with(n -> n.image[i] = w.cluster));
    }
  }

  private void register(World n, int i) {
    n.cluster = clusters.after(n.cluster, registration(n, i));
    n.image[i] = n.cluster;
  }

  private int expelled(World w, int i) {
    return clusters.after(
        w.cluster,
        new ClusterCommand.ExpelNodes(
            List.of(
                new ClusterCommand.ExpelNodes.Run(
                    node(i), clusters.node(w.cluster, i).registration()))));
  }

  // Re-sync.

  private void resync(World w, int i, Steps<World> out) {
    Group group = clusters.group(w.image[i]);
    Optional<Member> self = member(w, i, group);
    if (self.isEmpty()) {
      return;
    }
    if (group.reviving()) {
      revive(w, i, group, out);
    } else if (self.get().state() == MemberState.SYNCING) {
      catchUp(w, i, group, self.get(), out);
    }
  }

  private void catchUp(World w, int i, Group group, Member self, Steps<World> out) {
    byte join = (byte) self.joinEpoch().value();
    if (w.joining[i] != join) {
      for (Member source : group.in(MemberState.IN_SYNC)) {
        list(w, nodeOf(source.volume()), source.volume(), self.joinEpoch())
            .ifPresent(listed ->
                out.step(
                    node(i) + " has the list of " + node(nodeOf(source.volume())),
                    w.with(n -> {
                      n.joining[i] = join;
                      n.lacking[i] = (byte) (listed & ~w.held[i]);
                      if (!Rule.R7.holds()) {
                        n.held[i] &= (byte) (int) listed;
                      }
                    })));
      }
      return;
    }
    pulls(w, i, out);
    if (w.lacking[i] == 0 && w.promotion[i] != join) {
      out.step(
          node(i) + " asks to be promoted, since " + self.joinEpoch(),
          w.with(n -> {
            n.promotion[i] = join;
            n.joining[i] = 0;
          }));
    }
  }

  private void pulls(World w, int i, Steps<World> out) {
    for (int c = 0; c < size.chunks(); c++) {
      if (!has(w.lacking[i], c)) {
        continue;
      }
      byte bit = (byte) (1 << c);
      boolean there = false;
      for (int j = 0; j < size.nodes(); j++) {
        there |= j == i || (w.up[j] && has(w.held[j], c));
      }
      there &= has(w.held[i], c) || elsewhere(w, i, c);
      if (there) {
        out.step(
            node(i) + " gets " + name(c),
            w.with(n -> {
              n.held[i] |= bit;
              n.lacking[i] &= (byte) ~bit;
            }));
      } else if (w.state[c] == ENDED || !Rule.R5.holds()) {
        out.step(node(i) + " does without " + name(c), w.with(n -> n.lacking[i] &= (byte) ~bit));
      } else {
        out.step(node(i) + " begins again, without " + name(c), w.with(n -> forget(n, i)));
      }
    }
  }

  private boolean elsewhere(World w, int i, int c) {
    for (int j = 0; j < size.nodes(); j++) {
      if (j != i && w.up[j] && has(w.held[j], c)) {
        return true;
      }
    }
    return false;
  }

  private static void forget(World n, int i) {
    n.joining[i] = 0;
    n.lacking[i] = 0;
    n.asked[i] = 0;
  }

  private void revive(World w, int i, Group group, Steps<World> out) {
    byte epoch = (byte) group.epoch().value();
    int others = 0;
    for (Member member : group.members()) {
      others |= 1 << nodeOf(member.volume());
    }
    others &= ~(1 << i);
    boolean fresh = w.joining[i] != epoch;
    int asked = fresh ? 0 : w.asked[i];
    for (Member other : group.members()) {
      int j = nodeOf(other.volume());
      if (j != i && !has(asked, j)) {
        list(w, j, other.volume(), group.epoch())
            .ifPresent(listed ->
                out.step(
                    node(i) + " compares with " + node(j),
                    w.with(n -> {
                      n.joining[i] = epoch;
                      n.asked[i] = (byte) (asked | 1 << j);
                      n.lacking[i] = (byte) ((fresh ? 0 : w.lacking[i]) | (listed & ~w.held[i]));
                    })));
      }
    }
    if (fresh && others != 0) {
      return; // nobody was asked yet
    }
    if (!fresh) {
      pulls(w, i, out);
    }
    boolean first = nodeOf(group.members().getFirst().volume()) == i;
    if (first && ((asked == others && (fresh || w.lacking[i] == 0)) || !Rule.R12_UNION.holds())) {
      for (Member other : group.members()) {
        int j = nodeOf(other.volume());
        Optional<Integer> theirs =
            j == i ? Optional.of((int) w.held[i]) : list(w, j, other.volume(), group.epoch());
        if (Rule.R12_UNION.holds() && !theirs.equals(Optional.of((int) w.held[i]))) {
          out.step(node(i) + " begins again: they differ", w.with(n -> forget(n, i)));
          return;
        }
      }
      out.step(
          node(i) + " says that all have all",
          w.with(n -> {
            n.revived = epoch;
            forget(n, i);
          }));
    }
  }

  /** What a volume lists, as bits; empty when it refuses. */
  private Optional<Integer> list(World w, int j, VolumeId volume, Epoch join) {
    if (!reaches(w, j, volume)) {
      return Optional.empty();
    }
    var question =
        new DataMessage.ListChunks(volume, GROUP, join, Optional.empty(), size.chunks() + 1);
    try {
      if (place(w, j, w.image[j]).replica.handle(question).message()
          instanceof DataMessage.ChunkList(var chunks, var _)) {
        int bits = 0;
        for (DataMessage.ChunkList.Listed each : chunks) {
          bits |= 1 << (each.id().session().value() - 1);
        }
        return Optional.of(bits);
      }
      return Optional.empty();
    } catch (ForebayException refused) {
      return Optional.empty();
    }
  }

  private void promotion(World w, int i, Steps<World> out) {
    // What is under way names the volume of then, which only a wipe changes; it ends with it.
    out.step(
        "the log takes the promotion of " + node(i),
        w.with(n -> {
          n.cluster =
              clusters.after(
                  w.cluster,
                  new ClusterCommand.Promote(GROUP, volume(w, i), new Epoch(w.promotion[i])));
          n.promotion[i] = 0;
        }));
  }

  // Faults.

  private void faults(World w, int i, Steps<World> out) {
    if (w.up[i] && w.crashes > 0) {
      out.fault(
          node(i) + " dies",
          w.with(n -> {
            n.crashes--;
            stop(n, i);
          }));
    }
    if (w.up[i]
        && w.suspicions > 0
        && clusters.image(w.cluster).nodes().get(i).state() != NodeState.DOWN) {
      out.fault(
          "the cluster expels " + node(i) + ", which is there",
          w.with(n -> {
            n.suspicions--;
            n.cluster = expelled(w, i);
          }));
    }
    if (w.reboots > 0) {
      for (int kept = 0; kept < 1 << size.chunks(); kept++) {
        if ((kept & ~w.held[i]) != 0) {
          continue;
        }
        int left = kept;
        out.fault(
            node(i) + " loses its power" + (left == w.held[i] ? "" : ", and not only that"),
            w.with(n -> {
              n.reboots--;
              n.boot[i]++;
              stop(n, i);
              destroy(n, i, left);
            }));
      }
    }
    if (w.wipes > 0) {
      out.fault(
          node(i) + " gets an empty disk",
          w.with(n -> {
            n.wipes--;
            stop(n, i);
            destroy(n, i, 0);
            n.disk[i]++;
            n.promotion[i] = 0;
          }));
    }
  }

  private void stop(World n, int i) {
    n.up[i] = false;
    n.image[i] = 0;
    n.admitted[i] = 0;
    forget(n, i);
    for (int c = 0; c < size.chunks(); c++) {
      if (c % size.nodes() == i && n.state[c] == OPEN) {
        leave(n, c);
      }
    }
  }

  private void destroy(World n, int i, int kept) {
    for (int c = 0; c < size.chunks(); c++) {
      if (has(n.held[i], c) && !has(kept, c)) {
        n.destroyed[c]++;
      }
    }
    n.held[i] = (byte) kept;
  }

  // What must hold.

  @Override
  public Optional<String> broken(World w) {
    Group group = clusters.group(w.cluster);
    if (!group.reviving()
        && group.in(MemberState.IN_SYNC).isEmpty()
        && !group.in(MemberState.SYNCING).isEmpty()) {
      return Optional.of("somebody catches up with nobody");
    }
    for (int c = 0; c < size.chunks(); c++) {
      if (w.state[c] == ACKNOWLEDGED
          && clusters.group(w.opened[c]).writers().size() < size.minInSync()) {
        return Optional.of(name(c) + " is acknowledged by fewer than minInSync members");
      }
      if (w.state[c] != ACKNOWLEDGED
          || w.destroyed[c]
              >= Math.min(clusters.group(w.opened[c]).writers().size(), size.replicas())) {
        continue; // not owed, or its loss is legal
      }
      if (!has(w.held[0], c) && !elsewhere(w, c)) {
        return Optional.of(name(c) + " is acknowledged, and nobody has it");
      }
      for (int i = 0; i < size.nodes(); i++) {
        if (has(w.held[i], c)) {
          continue;
        }
        if (member(w, i, group)
            .filter(member -> member.state() == MemberState.IN_SYNC)
            .isPresent()) {
          return Optional.of(node(i) + " is in sync and lacks " + name(c));
        }
        if (callsAbsent(w, i, c)) {
          return Optional.of(node(i) + " calls " + name(c) + " absent");
        }
      }
    }
    return Optional.empty();
  }

  private boolean elsewhere(World w, int c) {
    for (int i = 1; i < size.nodes(); i++) {
      if (has(w.held[i], c)) {
        return true;
      }
    }
    return false;
  }

  /** Asked by somebody who knows the epoch of the acknowledgement, and no more (rule R8). */
  private boolean callsAbsent(World w, int i, int c) {
    var question = new DataMessage.ChunkRead(chunk(c), GROUP, 0, BYTES, epoch(w, c));
    return w.up[i]
        && place(w, i, w.image[i]).replica.handle(question).message()
            instanceof DataMessage.ChunkMissing(boolean authoritative)
        && authoritative;
  }

  @Override
  public boolean settled(World w) {
    Group group = clusters.group(w.cluster);
    if (group.in(MemberState.IN_SYNC).size() < size.replicas() || w.revived != 0) {
      return false;
    }
    for (int i = 0; i < size.nodes(); i++) {
      if (!w.up[i] || w.image[i] != w.cluster || w.promotion[i] != 0 || w.admitted[i] != 0) {
        return false;
      }
    }
    for (byte state : w.state) {
      if (state == OPEN || state == WRITERLESS) {
        return false;
      }
    }
    return true;
  }

  @Override
  public void encode(World w, ByteBuffer out) {
    out.putInt(w.cluster);
    for (int i = 0; i < size.nodes(); i++) {
      out.put((byte) (w.up[i] ? 1 : 0))
          .putInt(w.image[i])
          .put(w.disk[i])
          .put(w.boot[i])
          .put(w.held[i])
          .put(w.admitted[i])
          .put(w.joining[i])
          .put(w.lacking[i])
          .put(w.asked[i])
          .put(w.promotion[i]);
    }
    for (int c = 0; c < size.chunks(); c++) {
      out.put(w.state[c])
          .putInt(w.opened[c])
          .put(w.answered[c])
          .put(w.acknowledged[c])
          .put(w.destroyed[c]);
    }
    out.put(w.revived).put(w.crashes).put(w.suspicions).put(w.reboots).put(w.wipes).put(w.moves);
  }

  @Override
  public String describe(World w) {
    var words = new StringBuilder();
    words.append(clusters.group(w.cluster)).append('\n');
    for (int i = 0; i < size.nodes(); i++) {
      words
          .append(node(i))
          .append(w.up[i] ? " up, knows " + clusters.group(w.image[i]).epoch() : " down")
          .append(", ")
          .append(incarnation(w, i))
          .append(" holds");
      for (int c = 0; c < size.chunks(); c++) {
        words.append(has(w.held[i], c) ? " " + name(c) : "");
      }
      words.append('\n');
    }
    for (int c = 0; c < size.chunks(); c++) {
      words.append(name(c)).append(' ').append(STATES.get(w.state[c])).append('\n');
    }
    return words.toString();
  }

  // Ports of the production classes.

  /** A volume's replica, with the world as it stands in front of it. */
  private Place place(World w, int i, int image) {
    Place place = places.computeIfAbsent(volume(w, i), id -> new Place(id));
    place.incarnation = incarnation(w, i);
    place.held = w.held[i];
    place.image = clusters.image(image);
    return place;
  }

  private final class Place implements Volume, ControlPlane {
    final VolumeId id;
    final Replica replica;
    Incarnation incarnation = new Incarnation(0, 0);
    int held;
    ClusterImage image = ClusterImage.EMPTY;

    Place(VolumeId id) {
      this.id = id;
      var lease = new Lease(env);
      lease.renew(0, Long.MAX_VALUE / 2);
      this.replica =
          new Replica(
              env,
              new Volumes(List.of(this)),
              this,
              pool,
              new MemoryTier(env, 0),
              lease,
              new DoubtedChunks(env),
              new Fill(env, CapacitySettings.DEFAULT),
              new Recency(env, 0));
    }

    @Override
    public VolumeId id() {
      return id;
    }

    @Override
    public Incarnation incarnation() {
      return incarnation;
    }

    @Override
    public Optional<StoredChunk> find(ChunkId chunk) {
      int c = (int) chunk.session().value() - 1;
      return has(held, c) ? Optional.of(stored(chunk)) : Optional.empty();
    }

    @Override
    public List<StoredChunk> list(GroupId group, Optional<ChunkId> after, int max) {
      var all = new ArrayList<StoredChunk>();
      for (int c = 0; c < size.chunks(); c++) {
        if (has(held, c)) {
          all.add(stored(chunk(c)));
        }
      }
      return all;
    }

    private StoredChunk stored(ChunkId chunk) {
      return new StoredChunk(chunk, GROUP, new Epoch(1), BYTES, CRC);
    }

    @Override
    public ChunkAppender append(
        ChunkId chunk, GroupId group, Epoch epoch, int maxLengthBytes, Durability durability) {
      return new ChunkAppender() {
        @Override
        public Outcome<Void> write(int offset, Bytes slice, int crc32c) {
          throw new UnsupportedOperationException();
        }

        @Override
        public StoredChunk commit(int lengthBytes, int crc32c) {
          return stored(chunk);
        }

        @Override
        public StoredChunk replace(int lengthBytes, int crc32c) {
          throw new UnsupportedOperationException();
        }

        @Override
        public void abort() {}
      };
    }

    @Override
    public VolumeUsage usage() {
      return new VolumeUsage(1, 0, 0, 0); // no disk of this world fills
    }

    @Override
    public Optional<String> fault() {
      return Optional.empty();
    }

    @Override
    public void settle(GroupId group) {
      // A chunk of this world is there whole, or not at all.
    }

    @Override
    public List<GroupId> groups() {
      return List.of(GROUP);
    }

    @Override
    public Bytes read(ChunkId chunk, int offset, int length, SlabPool from) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void delete(Collection<ChunkId> ids) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}

    @Override
    public ClusterImage image() {
      return image;
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      return false;
    }

    @Override
    public ClusterResult cluster(ClusterCommand command) {
      throw new UnsupportedOperationException();
    }

    @Override
    public NamespaceResult namespace(NamespaceCommand command) {
      throw new UnsupportedOperationException();
    }

    @Override
    public NamespaceAnswer query(NamespaceQuery query) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void onImage(Consumer<ClusterImage> listener) {
      throw new UnsupportedOperationException();
    }
  }

  /** Time stands still. */
  private static final class Still implements Env {
    private final RandomGenerator random = new Random(1);

    @Override
    public long nanoTime() {
      return 0;
    }

    @Override
    public long wallMillis() {
      return 0;
    }

    @Override
    public RandomGenerator random() {
      return random;
    }

    @Override
    public Thread spawn(String name, Runnable task) {
      throw new UnsupportedOperationException(name);
    }

    @Override
    public Timer schedule(long delayNanos, Runnable callback) {
      return () -> {};
    }
  }
}
