package io.forebay.core.cluster;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The state machine of the {@code cluster} log: takes its commands in order and says what the
 * cluster is. Everything follows from the commands, their indexes and the leader's wall time that
 * the entries carry, so all voters agree.
 *
 * <p>A command changes what is known of nodes and volumes; the groups then follow by {@link
 * GroupRules}. A command that is refused changes nothing.
 *
 * <p>One thread applies; {@link #image()} may be called by any.
 */
public final class ClusterMachine {
  /** About how many groups of a family a volume is in, unless told otherwise. */
  public static final int DEFAULT_GROUPS_PER_VOLUME = 32;

  private static final int MIN_GROUPS = 4;
  private static final int MAX_GROUPS = 4096; // of a family: with most, a megabyte of the image
  private static final int MAX_NODES = 4096;
  private static final int MAX_VOLUMES_PER_NODE = 64;
  private static final int MAX_BUCKETS = 10_000;
  private static final int MAX_PREFIX_MODES = 64;
  private static final String UNFIT =
      "too long a text, more than " + MAX_PREFIX_MODES + " prefixes or a negative time";
  private static final int MAX_ACCESS_KEYS = 10_000;
  private static final int MAX_GRANTS = 1_000;
  private static final int MAX_TEXT = 1024; // characters of addresses, domains, URLs, key ids

  private final ClusterState state;
  private final int groupsPerVolume;
  private volatile ClusterImage image;

  /**
   * The machine as of what earlier ones have written.
   *
   * @param view read here, not kept
   */
  public ClusterMachine(SortedMap.View view) {
    this(view, DEFAULT_GROUPS_PER_VOLUME);
  }

  /**
   * The machine as of what earlier ones have written, with another number of groups.
   *
   * @param groupsPerVolume about how many groups of a family a volume is in; the same on all voters
   */
  public ClusterMachine(SortedMap.View view, int groupsPerVolume) {
    this.state = ClusterState.load(view);
    this.groupsPerVolume = groupsPerVolume;
    this.image = state.image();
  }

  /** The cluster after the last command. Costs nothing. */
  public ClusterImage image() {
    return image;
  }

  /**
   * Applies one command.
   *
   * @param index of the log entry; several commands may share one
   * @param wallMillis the leader's wall clock, as it stands in the entry
   * @param level of the log ({@link io.forebay.core.rule.Level})
   * @param batch gets the changes; the caller writes it before it forgets the entry
   */
  public ClusterResult apply(
      long index, long wallMillis, int level, ClusterCommand command, Batch batch) {
    state.begin(level, batch);
    ClusterResult result =
        switch (command) {
          case ClusterCommand.Initialize initialize -> initialize(initialize);
          case ClusterCommand.RegisterNode register -> register(index, register);
          case ClusterCommand.ExpelNodes expel -> expel(wallMillis, expel);
          case ClusterCommand.Promote promote -> promote(promote);
          case ClusterCommand.Revived revived -> revived(revived);
          case ClusterCommand.Salvage salvage ->
              state.level() < Level.SEEN
                  ? salvage(salvage.group(), Optional.empty())
                  : older("salvaging " + salvage.group());
          case ClusterCommand.GiveUp giveUp ->
              salvage(giveUp.group(), Optional.of(new TreeSet<>(giveUp.volumes())));
          case ClusterCommand.ReplaceLost replace -> replaceLost(wallMillis, replace);
          case ClusterCommand.Drain drain -> drain(drain);
          case ClusterCommand.CreateBucket create -> createBucket(wallMillis, create.bucket());
          case ClusterCommand.DeleteBucket delete ->
              state.level() < Level.SEEN
                  ? deleteBucket(delete.name())
                  : older("deleting bucket '" + shown(delete.name()) + "'");
          case ClusterCommand.PutAccessKey put -> putAccessKey(put.key(), Optional.empty());
          case ClusterCommand.PutRestrictedKey put ->
              putAccessKey(
                  put.key(), Optional.of(new KeyGrants(put.key().accessKeyId(), put.grants())));
          case ClusterCommand.ForgetNode forget -> forget(forget.node());
          case ClusterCommand.ChangeBucket change -> changeBucket(change);
          case ClusterCommand.MoveMember move -> move(move);
          case ClusterCommand.CancelMove cancel -> cancel(cancel);
          case ClusterCommand.RemoveBucket remove -> removeBucket(remove);
          case ClusterCommand.ReplaceBucket replace -> replaceBucket(replace);
        };
    boolean changed = state.end(index);
    if (changed) {
      image = state.image();
    }
    return switch (result) {
      case ClusterResult.Done done -> new ClusterResult.Done(state.version(), done.note());
      case ClusterResult.Refused refused -> {
        if (changed) {
          throw new IllegalStateException("refused, yet changed something: " + refused);
        }
        yield refused;
      }
    };
  }

  private ClusterResult initialize(ClusterCommand.Initialize command) {
    if (command.clusterId().isEmpty() || command.clusterId().length() > MAX_TEXT) {
      return refused(ErrorCode.INVALID_ARGUMENT, "a cluster id has 1 to 1024 characters");
    }
    if (state.clusterId().isEmpty()) {
      state.nameCluster(command.clusterId());
    }
    return done();
  }

  // Nodes.

  private ClusterResult register(long index, ClusterCommand.RegisterNode command) {
    NodeId id = command.node();
    String domain = command.domain().isEmpty() ? id.name() : command.domain();
    Optional<ClusterResult> fault = registrationFault(command, domain);
    if (fault.isPresent()) {
      return fault.get();
    }
    Optional<NodeRecord> before = state.node(id);
    // Grows also when two registrations share an entry: it names one run of the process.
    long registration = Math.max(index, before.map(NodeRecord::registration).orElse(-1L) + 1);
    state.putNode(
        new NodeRecord(
            id,
            command.address(),
            domain,
            registration,
            state.draining(id) ? NodeState.DRAINING : NodeState.UP));

    var announced = new TreeSet<VolumeId>();
    command.volumes().forEach(volume -> announced.add(volume.volume()));
    var gone = new TreeSet<VolumeId>();
    for (VolumeRecord volume : state.volumesOf(id)) {
      if (!announced.contains(volume.id())) {
        gone.add(volume.id());
        state.removeVolume(volume.id());
      }
    }
    for (ClusterCommand.RegisterNode.Announced volume : command.volumes()) {
      state.putVolume(
          new VolumeRecord(volume.volume(), id, volume.incarnation(), volume.capacityBytes(), 0));
    }
    var touched = new TreeSet<VolumeId>(announced);
    touched.addAll(gone);
    settle(touched);
    replace(state.groupsOf(gone), state::gone);
    addGroups();
    return done();
  }

  /**
   * A node that is up elsewhere, with disks of its own, is another one by the same name: to take
   * the newer one for it would count those disks as gone. Before {@link Level#BOUNDED} that was so.
   */
  private Optional<ClusterResult> twin(ClusterCommand.RegisterNode command) {
    Optional<NodeRecord> before = state.node(command.node());
    if (state.level() < Level.BOUNDED
        || before.isEmpty()
        || before.get().address().equals(command.address())) {
      return Optional.empty();
    }
    var announced = new TreeSet<VolumeId>();
    command.volumes().forEach(volume -> announced.add(volume.volume()));
    List<VolumeRecord> volumes = state.volumesOf(command.node());
    boolean up = volumes.stream().anyMatch(volume -> state.present(volume.id()) != null);
    boolean known = volumes.stream().anyMatch(volume -> announced.contains(volume.id()));
    return up && !known
        ? Optional.of(
            refused(
                ErrorCode.CONFIGURATION,
                "registering "
                    + command.node()
                    + " at "
                    + command.address()
                    + ": a node of that name is up at "
                    + before.get().address()
                    + ", with other disks; give this one a name of its own (`node`), or, where it"
                    + " takes that one's place, end that one first"))
        : Optional.empty();
  }

  private Optional<ClusterResult> registrationFault(
      ClusterCommand.RegisterNode command, String domain) {
    NodeId id = command.node();
    if (command.address().isEmpty()
        || command.address().length() > MAX_TEXT
        || domain.length() > MAX_TEXT) {
      return invalid("registering " + id + ": address and domain have 1 to 1024 characters");
    }
    if (command.volumes().size() > MAX_VOLUMES_PER_NODE) {
      return invalid(
          "registering " + id + ": a node has at most " + MAX_VOLUMES_PER_NODE + " volumes");
    }
    if (state.node(id).isEmpty() && state.nodes().size() >= MAX_NODES) {
      return invalid("registering " + id + ": a cluster has at most " + MAX_NODES + " nodes");
    }
    Optional<ClusterResult> twin = twin(command);
    if (twin.isPresent()) {
      return twin;
    }
    var own = new TreeSet<VolumeId>();
    for (ClusterCommand.RegisterNode.Announced volume : command.volumes()) {
      if (!own.add(volume.volume()) || volume.capacityBytes() < 0) {
        return invalid(
            "registering " + id + ": volume " + volume.volume() + " is named twice or has no size");
      }
      Optional<VolumeRecord> known = state.volume(volume.volume());
      if (known.isPresent()
          && !known.get().node().equals(id)
          && state.present(volume.volume()) != null) {
        return Optional.of(
            refused(
                ErrorCode.CONFIGURATION,
                "registering "
                    + id
                    + ": volume "
                    + volume.volume()
                    + " is that of node "
                    + known.get().node()
                    + ", which is up; a data directory must not be copied"));
      }
    }
    for (Group group : state.groupsOf(own)) {
      for (Member member : group.members()) {
        // A changed domain, or a disk put into another machine, may bring two members together.
        boolean together =
            !own.contains(member.volume())
                && state
                    .volume(member.volume())
                    .filter(volume -> !volume.node().equals(id))
                    .flatMap(volume -> state.domain(volume.id()))
                    .equals(Optional.of(domain));
        if (together && moves(id, domain, own, group)) {
          return Optional.of(
              refused(
                  ErrorCode.CONFIGURATION,
                  "registering "
                      + id
                      + " in failure domain '"
                      + domain
                      + "': "
                      + group.id()
                      + " would have two members there; drain the node first"));
        }
      }
    }
    return Optional.empty();
  }

  /** Whether a member of the group would be in another domain than before. */
  private boolean moves(NodeId id, String domain, SortedSet<VolumeId> own, Group group) {
    return group.members().stream()
        .filter(member -> own.contains(member.volume()))
        .flatMap(member -> state.volume(member.volume()).stream())
        .anyMatch(volume ->
            !volume.node().equals(id) || !state.domain(volume.id()).equals(Optional.of(domain)));
  }

  private ClusterResult expel(long wallMillis, ClusterCommand.ExpelNodes command) {
    var away = new TreeSet<VolumeId>();
    for (ClusterCommand.ExpelNodes.Run run : command.runs()) {
      Optional<NodeRecord> node = state.node(run.node());
      if (node.isEmpty()
          || node.get().registration() != run.registration()
          || node.get().state() == NodeState.DOWN) {
        continue;
      }
      state.putNode(with(node.get(), NodeState.DOWN));
      for (VolumeRecord volume : state.volumesOf(run.node())) {
        state.putVolume(
            new VolumeRecord(
                volume.id(),
                volume.node(),
                volume.incarnation(),
                volume.capacityBytes(),
                Math.max(1, wallMillis)));
        away.add(volume.id());
      }
    }
    settle(away);
    return done();
  }

  private ClusterResult drain(ClusterCommand.Drain command) {
    Optional<NodeRecord> node = state.node(command.node());
    if (node.isEmpty()) {
      return refused(ErrorCode.NOT_FOUND, "draining " + command.node() + ": no such node");
    }
    if (command.on() == state.draining(command.node())) {
      return done();
    }
    state.setDraining(command.node(), command.on());
    if (node.get().state() != NodeState.DOWN) {
      state.putNode(with(node.get(), command.on() ? NodeState.DRAINING : NodeState.UP));
    }
    var volumes = new TreeSet<VolumeId>();
    state.volumesOf(command.node()).forEach(volume -> volumes.add(volume.id()));
    settle(volumes);
    return done();
  }

  private ClusterResult forget(NodeId id) {
    Optional<NodeRecord> node = state.node(id);
    if (node.isEmpty()) {
      return refused(ErrorCode.NOT_FOUND, "forgetting " + id + ": no such node");
    }
    if (node.get().state() == NodeState.UP) {
      return refused(ErrorCode.INVALID_ARGUMENT, "forgetting " + id + ": it is up; drain it first");
    }
    var volumes = new TreeSet<VolumeId>();
    state.volumesOf(id).forEach(volume -> volumes.add(volume.id()));
    int members = state.groupsOf(volumes).size();
    if (members > 0) {
      return refused(
          ErrorCode.GROUP_UNSAFE,
          "forgetting " + id + ": " + members + " groups still count on its volumes");
    }
    volumes.forEach(state::removeVolume);
    state.removeNode(id);
    return done();
  }

  private static NodeRecord with(NodeRecord node, NodeState next) {
    return new NodeRecord(node.id(), node.address(), node.domain(), node.registration(), next);
  }

  // Groups.

  private ClusterResult promote(ClusterCommand.Promote command) {
    Optional<Group> group = state.group(command.group());
    Optional<Group> next =
        group.flatMap(
            present -> GroupRules.promote(present, command.volume(), command.joinEpoch()));
    if (next.isEmpty()) {
      return refused(
          ErrorCode.STALE_EPOCH,
          "promoting "
              + command.volume()
              + " in "
              + command.group()
              + ": it is not catching up since "
              + command.joinEpoch()
              + group.map(present -> " any more, at " + present.epoch()).orElse(": no such group"));
    }
    state.putGroup(GroupRules.settle(next.get(), state));
    return done();
  }

  private ClusterResult revived(ClusterCommand.Revived command) {
    Optional<Group> group = state.group(command.group());
    if (group.isEmpty()
        || !group.get().reviving()
        || !group.get().epoch().equals(command.epoch())) {
      return refused(
          ErrorCode.STALE_EPOCH,
          command.group() + " is not reviving in " + command.epoch() + at(group.map(Group::epoch)));
    }
    state.putGroup(GroupRules.settle(GroupRules.revived(group.get()), state));
    return done();
  }

  private static String at(Optional<Epoch> epoch) {
    return epoch.map(present -> ", it is at " + present).orElse(": no such group");
  }

  private static ClusterResult older(String what) {
    return refused(
        ErrorCode.WRONG_VERSION,
        what + ": who asks for it is older than the cluster; use a newer one");
  }

  /**
   * @param seen who is away as the operator saw it; empty in logs of before that was said
   */
  private ClusterResult salvage(GroupId id, Optional<SortedSet<VolumeId>> seen) {
    Optional<Group> found = state.group(id);
    if (found.isEmpty()) {
      return refused(ErrorCode.NOT_FOUND, "salvaging " + id + ": no such group");
    }
    Group group = found.get();
    if (group.reviving() || !group.in(MemberState.IN_SYNC).isEmpty()) {
      return refused(
          ErrorCode.INVALID_ARGUMENT,
          "salvaging " + id + ": it needs nobody who is away; nothing was given up");
    }
    List<String> givenUp = new ArrayList<>();
    var away = new TreeSet<VolumeId>();
    for (Member member : group.members()) {
      if (state.present(member.volume()) == null) {
        givenUp.add(describe(group, member));
        away.add(member.volume());
      }
    }
    if (!away.equals(seen.orElse(away))) {
      return refused(
          ErrorCode.GROUP_UNSAFE,
          "salvaging "
              + id
              + ": away are "
              + (away.isEmpty() ? "none of its members" : String.join(", ", givenUp))
              + "; what only they hold would be lost"
              + (away.size() == group.members().size()
                  ? ", and the group would begin again empty"
                  : "")
              + ". If none of them will ever come back: `forebay node salvage "
              + id.value()
              + " --give-up "
              + away.stream().map(VolumeId::toString).collect(Collectors.joining(","))
              + "`");
    }
    if (givenUp.size() < group.members().size()) {
      state.putGroup(GroupRules.settle(GroupRules.salvage(group, state), state));
      return new ClusterResult.Done(
          0,
          id + " goes on without " + String.join(", ", givenUp) + "; what only they held is lost");
    }
    List<VolumeId> volumes = new Placement(state, group.family()).choose(group.family().replicas());
    if (volumes.size() < group.family().minInSync()) {
      return refused(
          ErrorCode.UNAVAILABLE,
          "salvaging "
              + id
              + ": no member is left, and it needs "
              + group.family().minInSync()
              + " failure domains to begin again; there are "
              + volumes.size());
    }
    state.putGroup(GroupRules.settle(GroupRules.restart(group, volumes, state), state));
    return new ClusterResult.Done(
        0,
        id + " begins again empty without " + String.join(", ", givenUp) + "; all it held is lost");
  }

  private String describe(Group group, Member member) {
    boolean remembered =
        group.remembered().stream().anyMatch(old -> old.volume().equals(member.volume()));
    return "volume "
        + member.volume()
        + state.volume(member.volume()).map(volume -> " of node " + volume.node()).orElse(" (gone)")
        + (remembered ? ", which was last in sync" : "");
  }

  private ClusterResult replaceLost(long wallMillis, ClusterCommand.ReplaceLost command) {
    if (command.graceMillis() < 0) {
      return refused(ErrorCode.INVALID_ARGUMENT, "a grace period is not negative");
    }
    Outage outage = Outage.of(image);
    Predicate<VolumeId> given = volume -> state.gone(volume) || state.leaving(volume);
    Predicate<VolumeId> lost =
        volume ->
            given.test(volume)
                || state
                    .volume(volume)
                    .filter(record -> record.downSinceMillis() != 0)
                    .filter(
                        record -> wallMillis - record.downSinceMillis() >= command.graceMillis())
                    .isPresent();
    List<Group> waiting =
        state.groups().stream()
            .filter(group -> outage.waits() && group.in(MemberState.IN_SYNC).size() > 1)
            .toList();
    // The only copies first: they are to have the room.
    replace(state.groups().stream().filter(group -> !waiting.contains(group)).toList(), lost);
    replace(waiting, given);
    addGroups();
    return outage.waits()
        ? new ClusterResult.Done(
            0,
            outage.away()
                + " of "
                + outage.nodes()
                + " nodes are away: their volumes are waited for, except for groups with one copy;"
                + " draining a node gives it up")
        : done();
  }

  private ClusterResult move(ClusterCommand.MoveMember command) {
    String what =
        "moving " + command.group() + " from " + command.from() + " to " + command.to() + ": ";
    Optional<Group> found = state.group(command.group());
    if (found.isEmpty() || !found.get().epoch().equals(command.epoch())) {
      return refused(
          ErrorCode.STALE_EPOCH,
          what + "it is not at " + command.epoch() + at(found.map(Group::epoch)));
    }
    if (!GroupRules.catchesUp(found.get(), command.from(), state.level())
        && !GroupRules.whole(image)) {
      return refused(ErrorCode.GROUP_UNSAFE, what + "not every group has all its members in sync");
    }
    if (!GroupRules.mayReplace(image, found.get(), command.from(), command.to())) {
      return refused(
          ErrorCode.INVALID_ARGUMENT,
          what + "that is no member, or the other is one, is not there, or beside one");
    }
    state.putGroup(GroupRules.move(found.get(), command.from(), command.to(), state));
    return done();
  }

  private ClusterResult cancel(ClusterCommand.CancelMove command) {
    Optional<Group> found = state.group(command.group());
    if (found.isEmpty() || !found.get().epoch().equals(command.epoch())) {
      return refused(
          ErrorCode.STALE_EPOCH,
          command.group() + " is not at " + command.epoch() + at(found.map(Group::epoch)));
    }
    Group settled = GroupRules.settle(found.get(), state);
    if (settled.equals(found.get())) {
      return refused(ErrorCode.GROUP_UNSAFE, command.group() + " has nobody to spare");
    }
    state.putGroup(settled);
    return done();
  }

  private void settle(Collection<VolumeId> volumes) {
    for (Group group : state.groupsOf(volumes)) {
      state.putGroup(GroupRules.settle(group, state));
    }
  }

  private void replace(List<Group> groups, Predicate<VolumeId> lost) {
    Map<Family, Placement> placements = new LinkedHashMap<>();
    for (Group group : groups) {
      Placement placement =
          placements.computeIfAbsent(group.family(), family -> new Placement(state, family));
      state.putGroup(GroupRules.replace(group, state, placement, lost));
    }
  }

  /** Gives volumes that are in no group of a family new ones; groups are never split. */
  private void addGroups() {
    var families = new LinkedHashMap<Family, Placement>();
    for (Group group : state.groups()) {
      families.computeIfAbsent(group.family(), family -> new Placement(state, family));
    }
    families.forEach((family, placement) -> {
      if (placement.domains() < family.replicas()) {
        return;
      }
      for (VolumeId volume : placement.idle()) {
        while (placement.groupsOf(volume) < groupsPerVolume && placement.groups() < MAX_GROUPS) {
          addGroup(family, placement.chooseWith(volume, family.replicas()));
        }
      }
    });
  }

  private void addGroup(Family family, List<VolumeId> volumes) {
    state.putGroup(GroupRules.fresh(state.nextGroup(), family, volumes, state));
  }

  // Buckets and keys.

  private ClusterResult createBucket(long wallMillis, Bucket bucket) {
    String what = "creating bucket '" + shown(bucket.name()) + "': ";
    Optional<String> fault = BucketNames.fault(bucket.name());
    if (fault.isPresent()) {
      return refused(ErrorCode.INVALID_BUCKET_NAME, what + "a bucket's name " + fault.get());
    }
    if (state.bucket(bucket.name()).isPresent()) {
      return refused(ErrorCode.BUCKET_EXISTS, what + "it exists");
    }
    if (state.buckets().size() >= MAX_BUCKETS) {
      return refused(
          ErrorCode.INVALID_ARGUMENT, what + "a cluster has at most " + MAX_BUCKETS + " buckets");
    }
    if (!fits(bucket)) {
      return refused(ErrorCode.INVALID_ARGUMENT, what + UNFIT);
    }
    Family family = bucket.family();
    boolean first = state.groups().stream().noneMatch(group -> group.family().equals(family));
    if (first) {
      var placement = new Placement(state, family);
      if (placement.domains() < family.replicas()) {
        return refused(
            knownDomains() < family.replicas() ? ErrorCode.CONFIGURATION : ErrorCode.UNAVAILABLE,
            what
                + family.replicas()
                + " replicas need as many failure domains; there are "
                + placement.domains()
                + " up of "
                + knownDomains());
      }
      long wanted =
          Math.round((double) groupsPerVolume * placement.candidates() / family.replicas());
      int groups = Math.clamp(wanted, MIN_GROUPS, MAX_GROUPS);
      for (int i = 0; i < groups; i++) {
        addGroup(family, placement.choose(family.replicas()));
      }
    }
    state.putBucket(
        new Bucket(
            state.nextBucket(),
            bucket.name(),
            family,
            bucket.storeUrl(),
            bucket.mode(),
            bucket.prefixModes(),
            bucket.chunkBytes(),
            bucket.flushDelayMillis(),
            bucket.readGraceMillis(),
            wallMillis));
    return done();
  }

  private static boolean fits(Bucket bucket) {
    return bucket.prefixModes().size() <= MAX_PREFIX_MODES
        && bucket.prefixModes().stream().allMatch(mode -> mode.prefix().length() <= MAX_TEXT)
        && bucket.storeUrl().length() <= MAX_TEXT
        && bucket.flushDelayMillis() >= 0
        && bucket.readGraceMillis() >= 0;
  }

  private ClusterResult changeBucket(ClusterCommand.ChangeBucket change) {
    String what = "changing bucket '" + shown(change.name()) + "': ";
    Optional<Bucket> known = state.bucket(change.name());
    if (known.isEmpty()) {
      return refused(ErrorCode.NO_SUCH_BUCKET, what + "there is none");
    }
    Bucket old = known.get();
    if (old.storeUrl().isEmpty() && change.mode() != FlushMode.CACHE_ONLY) {
      return refused(
          ErrorCode.INVALID_ARGUMENT, what + "it has no store, and so no mode but CACHE_ONLY");
    }
    var changed =
        new Bucket(
            old.id(),
            old.name(),
            old.family(),
            old.storeUrl(),
            change.mode(),
            change.prefixModes(),
            old.chunkBytes(),
            change.flushDelayMillis(),
            change.readGraceMillis(),
            old.createdMillis());
    if (!fits(changed)) {
      return refused(ErrorCode.INVALID_ARGUMENT, what + UNFIT);
    }
    state.putBucket(changed);
    return done();
  }

  private ClusterResult replaceBucket(ClusterCommand.ReplaceBucket replace) {
    String name = replace.seen().name();
    if (state.bucket(name).filter(known -> !known.equals(replace.seen())).isPresent()) {
      return refused(
          ErrorCode.CONCURRENT_CHANGE,
          "changing bucket '" + shown(name) + "': somebody else has changed it; look again");
    }
    return changeBucket(
        new ClusterCommand.ChangeBucket(
            name,
            replace.mode(),
            replace.prefixModes(),
            replace.flushDelayMillis(),
            replace.readGraceMillis()));
  }

  private int knownDomains() {
    var domains = new TreeSet<String>();
    for (VolumeRecord volume : state.volumes()) {
      state.domain(volume.id()).ifPresent(domains::add);
    }
    return domains.size();
  }

  private ClusterResult deleteBucket(String name) {
    if (state.bucket(name).isEmpty()) {
      return refused(
          ErrorCode.NO_SUCH_BUCKET, "deleting bucket '" + shown(name) + "': there is none");
    }
    state.removeBucket(name);
    return done();
  }

  private ClusterResult removeBucket(ClusterCommand.RemoveBucket remove) {
    return state.bucket(remove.name()).filter(known -> !known.id().equals(remove.id())).isPresent()
        ? refused(
            ErrorCode.NO_SUCH_BUCKET,
            "deleting bucket '"
                + shown(remove.name())
                + "': it is gone, and another one has its name")
        : deleteBucket(remove.name());
  }

  private ClusterResult putAccessKey(AccessKey key, Optional<KeyGrants> grants) {
    if (key.accessKeyId().isEmpty()
        || key.accessKeyId().length() > MAX_TEXT
        || key.secret().isEmpty()
        || key.secret().length() > MAX_TEXT) {
      return refused(
          ErrorCode.INVALID_ARGUMENT, "an access key's id and secret have 1 to 1024 characters");
    }
    if (state.accessKeys().size() >= MAX_ACCESS_KEYS
        && !state.accessKeys().containsKey(key.accessKeyId())) {
      return refused(
          ErrorCode.INVALID_ARGUMENT, "a cluster has at most " + MAX_ACCESS_KEYS + " access keys");
    }
    if (grants.isPresent()
        && (grants.get().grants().isEmpty()
            || grants.get().grants().size() > MAX_GRANTS
            || grants.get().grants().stream()
                .anyMatch(
                    grant -> grant.bucket().isEmpty() || grant.bucket().length() > MAX_TEXT))) {
      return refused(
          ErrorCode.INVALID_ARGUMENT,
          "a restricted access key has 1 to " + MAX_GRANTS + " grants, each of them in a bucket");
    }
    state.putAccessKey(key, grants);
    return done();
  }

  private static String shown(String name) {
    return name.length() <= 80 ? name : name.substring(0, 80) + "…";
  }

  private static ClusterResult done() {
    return new ClusterResult.Done(0);
  }

  private static Optional<ClusterResult> invalid(String message) {
    return Optional.of(refused(ErrorCode.INVALID_ARGUMENT, message));
  }

  private static ClusterResult refused(ErrorCode code, String message) {
    return new ClusterResult.Refused(code, message);
  }
}
