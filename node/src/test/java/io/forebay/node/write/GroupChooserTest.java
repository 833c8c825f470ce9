package io.forebay.node.write;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterMachine;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.env.Env;
import io.forebay.core.env.TestEnv;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.net.ChunkPut;
import io.forebay.core.net.Hop;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class GroupChooserTest {
  private static final List<String> NODES = List.of("a", "b", "c", "d");

  private final Env env = new TestEnv();
  private final Suspects suspects = new Suspects(env);
  private final Paces paces = new Paces(env);
  private SortedSet<VolumeId> fuller = new TreeSet<>();

  private GroupChooser chooser(Family family, ClusterCommand... more) {
    ClusterMachine machine;
    var map = new MemorySortedMap();
    try (var view = map.view()) {
      machine = new ClusterMachine(view);
    }
    var commands = new ArrayList<ClusterCommand>();
    commands.add(new ClusterCommand.Initialize("test"));
    for (int i = 0; i < NODES.size(); i++) {
      commands.add(registration(NODES.get(i), i + 1));
    }
    commands.add(new ClusterCommand.CreateBucket(bucket(family)));
    commands.addAll(List.of(more));
    long index = 0;
    for (ClusterCommand command : commands) {
      machine.apply(++index, 1, Level.NEWEST, command, new Batch());
    }
    return new GroupChooser(env, machine::image, new NodeId("a"), () -> fuller, suspects, paces);
  }

  private static ClusterCommand.RegisterNode registration(String node, long volume) {
    return new ClusterCommand.RegisterNode(
        new NodeId(node),
        node + ":1",
        "",
        List.of(
            new ClusterCommand.RegisterNode.Announced(
                new VolumeId(volume), new Incarnation(volume, 1), 1L << 30)));
  }

  private static Bucket bucket(Family family) {
    return new Bucket(
        new BucketId(0), "bucket", family, "", FlushMode.CACHE_ONLY, List.of(), 1 << 20, 0, 0, 0);
  }

  private static List<String> others(GroupChooser.Choice choice) {
    return choice.chain().stream().map(Hop::node).map(NodeId::name).skip(1).toList();
  }

  /** What a node that has just joined gets, of what is fair among all, by all nodes' writers. */
  private static double shareOfTheNewest(Family family, int nodes) {
    ClusterMachine machine;
    var map = new MemorySortedMap();
    try (var view = map.view()) {
      machine = new ClusterMachine(view);
    }
    long index = 0;
    for (int node = 0; node <= nodes; node++) {
      if (node == nodes) {
        machine.apply(
            ++index, 1, Level.NEWEST, new ClusterCommand.CreateBucket(bucket(family)), new Batch());
      }
      machine.apply(++index, 1, Level.NEWEST, registration("n" + node, node + 1), new Batch());
    }
    var env = new TestEnv();
    int newest = 0;
    int all = 0;
    for (int writer = 0; writer <= nodes; writer++) {
      var chooser =
          new GroupChooser(
              env,
              machine::image,
              new NodeId("n" + writer),
              Collections::emptySortedSet,
              new Suspects(env),
              new Paces(env));
      for (int i = 0; i < 200; i++) {
        for (Hop hop : chooser.choose(family).orElseThrow().chain()) {
          newest += hop.node().equals(new NodeId("n" + nodes)) ? 1 : 0;
          all++;
        }
      }
    }
    env.close();
    return (double) newest / all * (nodes + 1);
  }

  @Test
  void aNodeThatHasJustJoinedGetsItsPartOfTheChunksAndNotAll() {
    for (int replicas = 1; replicas <= 3; replicas++) {
      for (int nodes : new int[] {3, 8, 20}) {
        assertThat(shareOfTheNewest(new Family(replicas, 1, Durability.REPLICATED), nodes))
            .as("%d copies, beside %d nodes", replicas, nodes)
            .isBetween(0.5, 1.5);
      }
    }
  }

  @Test
  void thisNodesVolumeIsOneAmongAllWhileItIsFullerThanOthers() {
    var family = new Family(2, 2, Durability.REPLICATED);
    GroupChooser chooser = chooser(family);
    assertThat(chunksHere(chooser, family)).isEqualTo(600);
    fuller = new TreeSet<>(List.of(new VolumeId(1)));
    assertThat(chunksHere(chooser, family))
        .as("half of them, with two of four")
        .isBetween(270, 330);
    fuller = new TreeSet<>(List.of(new VolumeId(2)));
    assertThat(chunksHere(chooser, family)).as("another one is fuller").isEqualTo(600);
  }

  /** Of 600 chunks. */
  private static int chunksHere(GroupChooser chooser, Family family) {
    int here = 0;
    for (int i = 0; i < 600; i++) {
      GroupChooser.Choice choice = chooser.choose(family).orElseThrow();
      here += choice.chain().getFirst().node().equals(new NodeId("a")) ? 1 : 0;
    }
    return here;
  }

  @Test
  void whoHasMuchToDoGetsNothingWhileOthersHaveLess() {
    var family = new Family(2, 2, Durability.REPLICATED);
    GroupChooser chooser = chooser(family);
    GroupChooser.Choice first = chooser.choose(family).orElseThrow();
    chooser.begin(first);
    String busy = others(first).getFirst();
    for (int i = 0; i < 100; i++) {
      GroupChooser.Choice next = chooser.choose(family).orElseThrow();
      assertThat(next.chain().getFirst().node()).isEqualTo(new NodeId("a"));
      assertThat(others(next)).doesNotContain(busy);
    }
    chooser.end(first);
    var seen = new ArrayList<String>();
    for (int i = 0; i < 100; i++) {
      seen.addAll(others(chooser.choose(family).orElseThrow()));
    }
    assertThat(seen).contains("b", "c", "d");
  }

  @Test
  void asManyAtOnceAreSpreadEvenly() {
    var family = new Family(2, 2, Durability.REPLICATED);
    GroupChooser chooser = chooser(family);
    var seen = new ArrayList<String>();
    for (int i = 0; i < 30; i++) {
      GroupChooser.Choice choice = chooser.choose(family).orElseThrow();
      chooser.begin(choice);
      seen.addAll(others(choice));
    }
    for (String node : List.of("b", "c", "d")) {
      assertThat(seen.stream().filter(node::equals)).hasSize(10);
    }
  }

  @Test
  void theOneWithLessToDoSendsOn() {
    var family = new Family(3, 2, Durability.REPLICATED);
    GroupChooser chooser = chooser(family);
    var sendOn = new ArrayList<String>();
    for (int i = 0; i < 30; i++) {
      GroupChooser.Choice choice = chooser.choose(family).orElseThrow();
      chooser.begin(choice);
      assertThat(choice.chain()).hasSize(3);
      sendOn.add(others(choice).getFirst());
    }
    for (String node : List.of("b", "c", "d")) {
      assertThat(sendOn.stream().filter(node::equals).count()).isBetween(9L, 11L);
    }
  }

  @Test
  void aSuspectIsPassedByHoweverLittleItHasToDo() {
    var family = new Family(2, 2, Durability.REPLICATED);
    GroupChooser chooser = chooser(family);
    suspects.add(new NodeId("b"));
    for (int i = 0; i < 30; i++) {
      GroupChooser.Choice choice = chooser.choose(family).orElseThrow();
      chooser.begin(choice);
      assertThat(choice.suspect()).isFalse();
      assertThat(others(choice)).doesNotContain("b");
    }
    suspects.add(new NodeId("c"));
    suspects.add(new NodeId("d"));
    assertThat(chooser.choose(family).orElseThrow().suspect()).isTrue();
  }

  @Test
  void whereAllGroupsHaveASuspectItIsTheLastAndHoldsNobodyElseUp() {
    var family = new Family(4, 2, Durability.REPLICATED);
    GroupChooser chooser = chooser(family);
    for (String node : List.of("b", "c", "d")) {
      suspects.add(new NodeId(node));
      for (int i = 0; i < 10; i++) {
        GroupChooser.Choice choice = chooser.choose(family).orElseThrow();
        chooser.begin(choice);
        assertThat(choice.suspect()).isTrue();
        assertThat(others(choice)).hasSize(3).last().isEqualTo(node);
      }
      suspects.clear(new NodeId(node));
    }
  }

  /** Chunks to these two took so long. */
  private void took(int one, int other, long millis) {
    List<Hop> chain =
        List.of(
            new Hop(new NodeId(NODES.get(one)), new VolumeId(one + 1)),
            new Hop(new NodeId(NODES.get(other)), new VolumeId(other + 1)));
    for (int i = 0; i < 4; i++) {
      paces.took(chain, chain, millis * 1_000_000, 4 << 20, 1);
    }
  }

  @Test
  void aSlowVolumeGetsNothingWhileOthersHaveLittleToDo() {
    var family = new Family(2, 2, Durability.REPLICATED);
    GroupChooser chooser = chooser(family);
    took(0, 1, 2_000);
    took(0, 2, 150);
    took(0, 3, 150);
    assertThat(paces.compares()).isTrue();
    for (int i = 0; i < 20; i++) {
      GroupChooser.Choice choice = chooser.choose(family).orElseThrow();
      chooser.begin(choice);
      assertThat(choice.chain().getFirst().node()).isEqualTo(new NodeId("a"));
      assertThat(others(choice)).doesNotContain("b");
    }
  }

  @Test
  void chunksGoToOthersOnlyWhileThisNodesVolumeIsSlow() {
    var family = new Family(2, 2, Durability.REPLICATED);
    GroupChooser chooser = chooser(family);
    took(0, 1, 2_000);
    took(0, 2, 2_000);
    // Once, to have something to compare with.
    assertThat(chooser.choose(family).orElseThrow().chain().getFirst().node())
        .isNotEqualTo(new NodeId("a"));
    took(1, 2, 150);
    took(2, 3, 150);
    for (int i = 0; i < 20; i++) {
      assertThat(chooser.choose(family).orElseThrow().chain().stream().map(Hop::node))
          .doesNotContain(new NodeId("a"));
    }
  }

  @Test
  void aSlowVolumeIsNoReasonToTakeAWeakerGroup() {
    var family = new Family(3, 2, Durability.REPLICATED);
    GroupChooser chooser =
        chooser(
            family,
            new ClusterCommand.ExpelNodes(
                List.of(new ClusterCommand.ExpelNodes.Run(new NodeId("d"), 5))));
    took(0, 1, 2_000);
    took(0, 2, 150);
    took(2, 3, 150);
    assertThat(paces.times(new VolumeId(2))).isGreaterThan(1);
    assertThat(chooser.choose(family).orElseThrow().chain()).hasSize(3);
  }

  @Test
  void aChoiceStandsWhileAllItsMembersTakeWrites() {
    var family = new Family(2, 2, Durability.REPLICATED);
    var chooser = chooser(family);
    var expel =
        new ClusterCommand.ExpelNodes(
            List.of(new ClusterCommand.ExpelNodes.Run(new NodeId("d"), 5)));
    var later = chooser(family, expel);
    int left = 0;
    for (int i = 0; i < 50; i++) {
      GroupChooser.Choice choice = chooser.choose(family).orElseThrow();
      boolean hasIt = others(choice).contains("d");
      left += hasIt ? 1 : 0;
      assertThat(chooser.stands(choice)).isTrue();
      assertThat(later.stands(choice)).isEqualTo(!hasIt);
    }
    assertThat(left).isBetween(1, 49);
  }

  @Test
  void aGroupOfSevenIsWrittenToWhileTwoOfItsMembersLeave() {
    ClusterMachine machine;
    try (var view = new MemorySortedMap().view()) {
      machine = new ClusterMachine(view);
    }
    var family = new Family(7, 2, Durability.REPLICATED);
    var commands = new ArrayList<ClusterCommand>();
    for (int i = 0; i < 9; i++) {
      commands.add(registration("n" + i, i + 1));
    }
    commands.add(new ClusterCommand.CreateBucket(bucket(family)));
    commands.add(new ClusterCommand.Drain(new NodeId("n0"), true));
    commands.add(new ClusterCommand.Drain(new NodeId("n1"), true));
    commands.add(new ClusterCommand.ReplaceLost(0));
    long index = 0;
    for (ClusterCommand command : commands) {
      machine.apply(++index, 1, Level.NEWEST, command, new Batch());
    }
    assertThat(machine.image().groups()).anyMatch(group -> group.writers().size() == 9);
    var chooser =
        new GroupChooser(env, machine::image, new NodeId("n2"), () -> fuller, suspects, paces);
    for (int i = 0; i < 50; i++) {
      List<Hop> chain = chooser.choose(family).orElseThrow().chain();
      assertThat(
              new ChunkPut(
                      new ChunkId(new SessionId(1), 1),
                      new GroupId(1),
                      new Epoch(1),
                      family.durability(),
                      1,
                      chain)
                  .chain())
          .isEqualTo(chain);
    }
  }
}
