package io.forebay.sim.cluster;

import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.codec.RecordCodec;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.FlushState;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.Epoch;
import io.forebay.core.id.Generation;
import io.forebay.core.id.GroupId;
import io.forebay.core.id.Incarnation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.Commands;
import io.forebay.core.log.LoggedMachine;
import io.forebay.core.log.NamespaceCommands;
import io.forebay.core.namespace.ChunkState;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceMachine;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.net.DataMessage;
import io.forebay.core.net.Message;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.MemorySortedMap;
import io.forebay.core.sorted.SortedMap;
import io.forebay.core.volume.MemoryVolume;
import io.forebay.core.volume.StoredChunk;
import io.forebay.node.life.ClusterLog;
import io.forebay.sim.net.SimLinks;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Knows what is true in a world and says when a promise is broken, at the event that broke it.
 *
 * <p>It applies both logs itself at the moment of each commit (with the production state machines),
 * so that it knows the group records and what is published before any node does; it is told of each
 * chunk that a disk takes or drops, and of each answer that "it is absent". Each check looks at
 * what the event touched; {@link #audit} looks at everything. The list of what is checked stands in
 * docs/simulator.md.
 */
final class Judge implements SimLinks.Observer {
  private static final int MAX_VIOLATIONS = 20;

  /** A copy that was there once: a volume in one incarnation. */
  private record Copy(VolumeId volume, Incarnation incarnation) implements Comparable<Copy> {
    @Override
    public int compareTo(Copy other) {
      int order = volume.compareTo(other.volume);
      order = order != 0 ? order : Long.compare(incarnation.disk(), other.incarnation.disk());
      return order != 0 ? order : Long.compare(incarnation.boot(), other.incarnation.boot());
    }
  }

  private record GroupEpoch(GroupId group, Epoch epoch) implements Comparable<GroupEpoch> {
    @Override
    public int compareTo(GroupEpoch other) {
      int order = group.compareTo(other.group);
      return order != 0 ? order : epoch.compareTo(other.epoch);
    }
  }

  private static final class Chunk {
    final int lengthBytes;
    final int crc32c;
    final TreeSet<Copy> copies = new TreeSet<>();
    int destroyed; // copies, by faults

    Chunk(int lengthBytes, int crc32c) {
      this.lengthBytes = lengthBytes;
      this.crc32c = crc32c;
    }
  }

  /** What clients have asked for. */
  private static final class Wish {
    int left; // how often, less how often it was made
    int underWay;
    boolean unknown;
  }

  private final SimWorld world;
  private final int groupsPerVolume;
  private final List<String> violations = new ArrayList<>();
  private List<String> scene = List.of();
  private final ClusterLog clusterLog;
  private final NamespaceMachine namespace = new NamespaceMachine(0);
  private final MemorySortedMap clusterMap = new MemorySortedMap();
  private final MemorySortedMap namespaceMap = new MemorySortedMap();
  private final LoggedMachine clusterMachine;
  private final LoggedMachine namespaceMachine;
  private final List<Runnable> afterEntry = new ArrayList<>();
  private final Map<VolumeId, MemoryVolume.Disk> disks = new TreeMap<>();
  private final Map<GroupEpoch, Group> records = new TreeMap<>();
  private final Map<GroupId, Group> groups = new TreeMap<>();
  private final Map<String, Map<GroupId, Epoch>> known = new TreeMap<>();
  private final Map<ChunkId, Chunk> chunks = new TreeMap<>();
  private final TreeSet<ChunkId> collected = new TreeSet<>();
  private final Map<GroupId, TreeMap<ChunkId, Extent>> named = new TreeMap<>();
  private final History history = new History();
  private final PolicyJudge policyJudge;
  private Optional<StoreJudge> storeJudge = Optional.empty();
  private final Map<String, Wish> wanted = new TreeMap<>(); // by change
  private long checks;
  private long moves;

  Judge(SimWorld world, int groupsPerVolume) {
    this.world = world;
    this.groupsPerVolume = groupsPerVolume;
    this.clusterLog = new ClusterLog(world.env("judge"), groupsPerVolume);
    this.policyJudge = new PolicyJudge(this);
    this.clusterMachine = new LoggedMachine(new Told());
    this.namespaceMachine = new LoggedMachine(new Watched());
  }

  List<String> violations() {
    return violations;
  }

  /** Whether no promise was broken so far. */
  boolean sound() {
    return violations.isEmpty();
  }

  /** What had happened when the first promise was broken. */
  List<String> scene() {
    return scene;
  }

  /** Single checks made so far. */
  long checks() {
    return checks;
  }

  /** How many groups were sent on their way from a full disk to an empty one. */
  long moves() {
    return moves;
  }

  History history() {
    return history;
  }

  /** How many groups of a family a volume is to be in. */
  int groupsPerVolume() {
    return groupsPerVolume;
  }

  /** Simulated time. */
  long nanoTime() {
    return world.nanoTime();
  }

  /** Simulated time of the day. */
  long wallMillis() {
    return world.wallMillis();
  }

  /** Somebody is about to ask for a change, which may be made once for that. */
  void want(String change) {
    Wish wish = wanted.computeIfAbsent(change, any -> new Wish());
    wish.left++;
    wish.underWay++;
  }

  /**
   * One who asked for it has an answer.
   *
   * @param known whether it was made or not; else it may be made yet, at any time
   */
  void ended(String change, boolean known) {
    Wish wish = wanted.get(change);
    if (wish != null) {
      wish.unknown |= !known;
      wish.underWay--;
      if (wish.underWay == 0 && !wish.unknown) {
        wanted.remove(change);
      }
    }
  }

  private void made(String change) {
    checks++;
    Wish wish = wanted.get(change);
    if (wish == null || wish.left == 0) {
      violation("C1: it happened that " + change + ", more often than anybody asked for it");
    } else {
      wish.left--;
    }
  }

  static String deletion(BucketId bucket, String key) {
    return bucket.value() + "/" + key + " was deleted";
  }

  static String copying(BucketId from, String source, BucketId to, String target) {
    return "%d/%s was copied to %d/%s".formatted(from.value(), source, to.value(), target);
  }

  static String renaming(BucketId bucket, String from, String to) {
    return "%d/%s was renamed to %s".formatted(bucket.value(), from, to);
  }

  static String completion(BucketId bucket, String key) {
    return "the upload of " + bucket.value() + "/" + key + " was completed";
  }

  /** One more single check was made. */
  void looked() {
    checks++;
  }

  /** Who knows the policies of prefixes. */
  PolicyJudge policies() {
    return policyJudge;
  }

  /** Who knows the store, if there is one. */
  Optional<StoreJudge> store() {
    return storeJudge;
  }

  /** Who is told of the commands of the flush. */
  void watch(StoreJudge watcher) {
    storeJudge = Optional.of(watcher);
  }

  /** The cluster as of the last commit. */
  ClusterImage image() {
    return clusterLog.image();
  }

  void violation(String what) {
    world.log().add(world.nanoTime(), "VIOLATION " + what);
    if (violations.isEmpty()) {
      scene = world.log().lastWithMessages();
    }
    if (violations.size() < MAX_VIOLATIONS) {
      violations.add(world.nanoTime() / 1_000_000 + " ms: " + what);
    }
  }

  void addDisk(MemoryVolume.Disk disk, VolumeId id) {
    disks.put(id, disk);
  }

  /** A disk that nobody will see again. */
  void removeDisk(VolumeId id) {
    disks.remove(id);
  }

  VolumeId idOf(MemoryVolume.Disk disk) {
    return disks.entrySet().stream()
        .filter(each -> each.getValue() == disk)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElseThrow();
  }

  // The logs.

  byte[] clusterCommitted(long term, long index, byte[] entry) {
    byte[] answer = apply(clusterMachine, clusterMap, term, index, entry);
    for (Group group : clusterLog.image().groups()) {
      Group before = groups.get(group.id());
      if (!group.equals(before)) {
        groups.put(group.id(), group);
        changed(before, group);
      }
      checkIncarnations(group);
    }
    return answer;
  }

  byte[] namespaceCommitted(long term, long index, byte[] entry) {
    var uses = new TreeMap<BucketId, BucketUse>();
    for (Bucket bucket : image().buckets()) {
      uses.put(bucket.id(), use(bucket.id()));
    }
    byte[] answer = apply(namespaceMachine, namespaceMap, term, index, entry);
    checkQuotas(uses);
    List<Runnable> after = List.copyOf(afterEntry);
    afterEntry.clear();
    after.forEach(Runnable::run);
    return answer;
  }

  private static byte[] apply(
      LoggedMachine machine, MemorySortedMap map, long term, long index, byte[] entry) {
    var batch = new Batch();
    byte[] answer;
    try (SortedMap.View view = map.view()) {
      answer = machine.apply(term, index, entry, view, batch);
    }
    map.write(batch);
    return answer;
  }

  /** The cluster's commands, told to whoever reads the event log. */
  private final class Told implements Commands {
    @Override
    public byte[] apply(
        long position, long wallMillis, int level, byte[] command, SortedMap.View in, Batch out) {
      byte[] result = clusterLog.apply(position, wallMillis, level, command, in, out);
      ClusterCommand asked = RecordCodec.of(ClusterCommand.class).decode(command);
      if (asked instanceof ClusterCommand.MoveMember
          && ClusterLog.decodeResult(result) instanceof ClusterResult.Done) {
        moves++;
      }
      if (!(asked instanceof ClusterCommand.ReplaceLost)) {
        world
            .log()
            .add(world.nanoTime(), "cluster " + asked + " " + ClusterLog.decodeResult(result));
      }
      return result;
    }

    @Override
    public int check(byte[] command) {
      return clusterLog.check(command);
    }

    @Override
    public byte[] query(SortedMap.View in, byte[] query) {
      return clusterLog.query(in, query);
    }
  }

  /** The namespace's commands, with what follows from each. */
  private final class Watched implements Commands {
    private final NamespaceCommands commands = new NamespaceCommands(namespace);

    @Override
    public byte[] apply(
        long position, long wallMillis, int level, byte[] command, SortedMap.View in, Batch out) {
      byte[] result = commands.apply(position, wallMillis, level, command, in, out);
      NamespaceCommand asked = RecordCodec.of(NamespaceCommand.class).decode(command);
      switch (asked) {
        case NamespaceCommand.Publish _,
            NamespaceCommand.PutPart _,
            NamespaceCommand.Delete _,
            NamespaceCommand.DeleteMany _,
            NamespaceCommand.Copy _,
            NamespaceCommand.Rename _,
            NamespaceCommand.CompleteUpload _,
            NamespaceCommand.ReplacePolicies _,
            NamespaceCommand.LetGo _,
            NamespaceCommand.FlushBegin _,
            NamespaceCommand.FlushEnd _,
            NamespaceCommand.FlushResolve _,
            NamespaceCommand.ConflictKeep _,
            NamespaceCommand.ConflictTake _ -> {
          NamespaceResult answer = RecordCodec.of(NamespaceResult.class).decode(result);
          afterEntry.add(() -> happened(asked, answer));
        }
        default -> {}
      }
      return result;
    }

    @Override
    public void raised(int before, int level, SortedMap.View in, Batch out) {
      commands.raised(before, level, in, out);
    }

    @Override
    public int check(byte[] command) {
      return commands.check(command);
    }

    @Override
    public byte[] query(SortedMap.View in, byte[] query) {
      return commands.query(in, query);
    }
  }

  private void happened(NamespaceCommand command, NamespaceResult result) {
    long now = world.nanoTime();
    switch (command) {
      case NamespaceCommand.Publish publish -> {
        if (result instanceof NamespaceResult.Published(var object)) {
          checkNamed(publish.key(), publish.manifest());
          history
              .published(
                  now,
                  publish.bucket(),
                  publish.key(),
                  object.generation(),
                  publish.lengthBytes(),
                  publish.crc32c())
              .ifPresent(wrong -> violation("G2: " + publish.key() + " publishes " + wrong));
          policyJudge.published(publish.bucket(), publish.key(), object.generation());
        }
      }
      case NamespaceCommand.PutPart part -> {
        if (result instanceof NamespaceResult.PartLogged) {
          checkNamed(part.key(), part.manifest());
        }
      }
      case NamespaceCommand.Delete delete -> {
        if (result instanceof NamespaceResult.Deleted) {
          deleted(now, delete.bucket(), delete.key());
        }
      }
      case NamespaceCommand.DeleteMany many -> {
        if (result instanceof NamespaceResult.DeletedMany(var keys)) {
          for (int i = 0; i < keys.size(); i++) {
            if (keys.get(i).refused().isEmpty()) {
              deleted(now, many.bucket(), many.keys().get(i));
            }
          }
        }
      }
      case NamespaceCommand.Copy copy -> {
        if (result instanceof NamespaceResult.Published(var object)) {
          made(copying(copy.sourceBucket(), copy.sourceKey(), copy.bucket(), copy.key()));
          history.copied(
              now,
              copy.sourceBucket(),
              copy.sourceKey(),
              copy.bucket(),
              copy.key(),
              object.generation());
        }
      }
      case NamespaceCommand.Rename rename -> {
        if (result instanceof NamespaceResult.Renamed) {
          renamed(now, rename);
        }
      }
      case NamespaceCommand.CompleteUpload complete -> {
        if (result instanceof NamespaceResult.Published(var object)) {
          made(completion(complete.bucket(), complete.key()));
          history.completed(now, complete.bucket(), complete.key(), object.generation());
        }
      }
      case NamespaceCommand.ReplacePolicies set -> {
        if (result instanceof NamespaceResult.Done) {
          policyJudge.set(set);
        }
      }
      case NamespaceCommand.LetGo letGo -> {
        if (result instanceof NamespaceResult.Expired(int count, boolean _)) {
          for (String key : policyJudge.letGo(letGo, count)) {
            history.deleted(now, letGo.bucket(), key);
          }
        }
      }
      default -> storeJudge.ifPresent(watcher -> watcher.happened(command, result));
    }
  }

  private void deleted(long now, BucketId bucket, String key) {
    if (history.current(bucket, key).isPresent()) {
      made(deletion(bucket, key));
    }
    history.deleted(now, bucket, key);
  }

  /** An object, or all below a prefix, got another name. */
  private void renamed(long now, NamespaceCommand.Rename rename) {
    if (rename.from().equals(rename.to())) {
      return;
    }
    made(renaming(rename.bucket(), rename.from(), rename.to()));
    List<String> names =
        rename.from().endsWith("/")
            ? history.keys(rename.bucket()).stream()
                .filter(key ->
                    key.startsWith(rename.from())
                        && history.current(rename.bucket(), key).isPresent())
                .toList()
            : List.of(rename.from());
    for (String from : names) {
      String to = rename.to() + from.substring(rename.from().length());
      history.copied(
          now, rename.bucket(), from, rename.bucket(), to, generation(rename.bucket(), to));
      history.deleted(now, rename.bucket(), from);
    }
  }

  /** What counts for a bucket's quota, as of the last commit. */
  BucketUse use(BucketId bucket) {
    return ((NamespaceAnswer.Use) query(new NamespaceQuery.UseOf(bucket))).use();
  }

  /** Bytes of objects that are in no store. */
  long heldBytes(BucketId bucket) {
    long bytes = 0;
    for (String key : history.keys(bucket)) {
      if (query(new NamespaceQuery.Stat(bucket, key))
              instanceof NamespaceAnswer.Found(var head, var _)
          && head.flush() != FlushState.FLUSHED) {
        bytes += head.lengthBytes();
      }
    }
    return bytes;
  }

  /** Bytes of parts of uploads that were neither completed nor given up. */
  long partBytes(BucketId bucket) {
    var answer =
        (NamespaceAnswer.Uploads)
            query(new NamespaceQuery.ListUploads(bucket, "", "", Optional.empty(), 1_000));
    long bytes = 0;
    for (var upload : answer.uploads()) {
      var parts =
          (NamespaceAnswer.Parts)
              query(new NamespaceQuery.ListParts(bucket, upload.key(), upload.id(), 0, 1_000));
      bytes += parts.parts().stream().mapToLong(part -> part.lengthBytes()).sum();
    }
    return bytes;
  }

  /** No command takes a bucket beyond its quota, or further beyond it. */
  private void checkQuotas(Map<BucketId, BucketUse> before) {
    before.forEach((bucket, then) -> {
      checks++;
      BucketUse now = use(bucket);
      if (now.quotaBytes() > 0
          && now.quotaBytes() == then.quotaBytes()
          && now.heldBytes() > Math.max(now.quotaBytes(), then.heldBytes())) {
        violation(bucket + " goes beyond its quota: " + then + " became " + now);
      }
    });
  }

  Generation generation(BucketId bucket, String key) {
    return query(new NamespaceQuery.Stat(bucket, key)) instanceof NamespaceAnswer.Found found
        ? found.object().generation()
        : new Generation(0);
  }

  /** What the namespace answers as of the last commit. */
  NamespaceAnswer query(NamespaceQuery query) {
    try (SortedMap.View view = namespaceMap.view()) {
      return namespace.query(view, query);
    }
  }

  /** Whether copies of a chunk must be kept, as of the last commit. */
  ChunkState state(ChunkId id) {
    return states(List.of(id)).getFirst();
  }

  private List<ChunkState> states(List<ChunkId> ids) {
    return ids.isEmpty()
        ? List.of()
        : ((NamespaceAnswer.Chunks) query(new NamespaceQuery.ChunkStates(ids))).states();
  }

  private static boolean keep(ChunkState state) {
    return state == ChunkState.OWED || state == ChunkState.OPEN;
  }

  // Publishing.

  private void checkNamed(String key, Manifest manifest) {
    if (!(manifest instanceof Manifest.Extents(var extents))) {
      return;
    }
    for (Extent extent : extents) {
      checks++;
      ChunkId id = extent.chunk();
      if (collected.contains(id)) {
        violation("G3: " + key + " names " + id + ", which was collected as garbage");
      }
      if (!keep(state(id))) {
        violation("G3: " + key + " names " + id + ", which is " + state(id));
      }
      Group then = records.get(new GroupEpoch(extent.group(), extent.epoch()));
      Chunk chunk = chunks.get(id);
      if (then == null || chunk == null) {
        violation("R2: " + key + " names " + id + " of " + extent + ", which no member ever held");
        continue;
      }
      if (then.reviving() || then.writers().size() < then.family().minInSync()) {
        violation("R9: " + id + " was acknowledged in " + then);
      }
      for (Member member : then.writers()) {
        if (!chunk.copies.contains(new Copy(member.volume(), member.incarnation()))) {
          violation(
              "R2: "
                  + id
                  + " was acknowledged in "
                  + extent.epoch()
                  + " of "
                  + then
                  + " but "
                  + member.volume()
                  + " never held it");
        }
      }
      named.computeIfAbsent(extent.group(), any -> new TreeMap<>()).put(id, extent);
      Group present = groups.get(extent.group());
      if (present != null) {
        for (Member member : present.in(MemberState.IN_SYNC)) {
          checkHolds(present, member, id, "published as " + key);
        }
      }
    }
  }

  /** The heart of it: a member in sync, in the incarnation that the record names, has it. */
  private void checkHolds(Group group, Member member, ChunkId id, String why) {
    checks++;
    MemoryVolume.Disk disk = disks.get(member.volume());
    if (disk == null || !disk.incarnation().equals(member.incarnation())) {
      return; // Lost with its disk: the record will follow.
    }
    if (!disk.holds(id)) {
      violation(member.volume() + " is in sync in " + group + " but lacks " + id + ", " + why);
    }
  }

  // Groups.

  private void changed(@org.jspecify.annotations.Nullable Group before, Group group) {
    checks++;
    world.log().add(world.nanoTime(), describe(group));
    records.put(new GroupEpoch(group.id(), group.epoch()), group);
    if (before != null && group.epoch().compareTo(before.epoch()) <= 0) {
      violation("the epoch of " + before + " does not grow in " + group);
    }
    if (group.writable() && group.writers().size() < group.family().minInSync()) {
      violation("R9: " + group + " takes writes");
    }
    if (group.in(MemberState.IN_SYNC).isEmpty()
        && !group.in(MemberState.SYNCING).isEmpty()
        && !group.reviving()) {
      violation("R11: nobody is in sync for those who catch up in " + group);
    }
    if (before != null
        && group.epoch().value() == before.epoch().value() + 1 // else some were not seen
        && group.in(MemberState.IN_SYNC).size() < group.family().replicas()) {
      List<Member> inSync = before.in(MemberState.IN_SYNC);
      boolean enough = inSync.size() >= group.family().replicas();
      for (Member member : enough ? inSync : before.writers()) {
        if (group.member(member.volume()).isEmpty()
            && clusterLog.image().volume(member.volume()).isPresent()) {
          violation(
              member.volume()
                  + " leaves "
                  + before
                  + " before enough others are in sync in "
                  + group);
        }
      }
    }
    for (Member member : group.in(MemberState.IN_SYNC)) {
      boolean already =
          before != null
              && before.in(MemberState.IN_SYNC).stream()
                  .anyMatch(old ->
                      old.volume().equals(member.volume())
                          && old.incarnation().equals(member.incarnation()));
      if (!already) {
        checkMember(group, member);
      }
    }
  }

  /** Members in sync whose disk is gone, or another one by now: the record has to follow. */
  List<String> strangers() {
    var found = new ArrayList<String>();
    for (Group group : groups.values()) {
      for (Member member : group.in(MemberState.IN_SYNC)) {
        MemoryVolume.Disk disk = disks.get(member.volume());
        if (disk == null || !disk.incarnation().equals(member.incarnation())) {
          found.add(member.volume() + " of " + group.id());
        }
      }
    }
    return found;
  }

  /** Rule R6: who is in sync is so in the incarnation in which its volume was registered last. */
  private void checkIncarnations(Group group) {
    for (Member member : group.in(MemberState.IN_SYNC)) {
      checks++;
      Optional<VolumeRecord> volume = clusterLog.image().volume(member.volume());
      if (volume.isEmpty() || !volume.get().incarnation().equals(member.incarnation())) {
        violation("R6: " + member.volume() + " is " + volume + " but in sync in " + group);
      }
    }
  }

  private static String describe(Group group) {
    var text =
        new StringBuilder(group.id() + " " + group.epoch() + (group.reviving() ? " reviving" : ""));
    for (Member member : group.members()) {
      text.append(' ').append(member.volume()).append(':').append(member.state());
    }
    return text.toString();
  }

  /** A member in sync has all that is named and not let go. */
  private void checkMember(Group group, Member member) {
    MemoryVolume.Disk disk = disks.get(member.volume());
    TreeMap<ChunkId, Extent> all = named.get(group.id());
    if (all == null || disk == null || !disk.incarnation().equals(member.incarnation())) {
      return;
    }
    for (ChunkId id : List.copyOf(all.keySet())) {
      checks++;
      if (!disk.holds(id)) {
        if (keep(state(id))) {
          violation(member.volume() + " became in sync in " + group + " but lacks " + id);
        } else {
          all.remove(id);
        }
      }
    }
  }

  /** A node has an image: of what was committed only, and never an older epoch than before. */
  void seen(String process, ClusterImage image) {
    Map<GroupId, Epoch> epochs = known.computeIfAbsent(process, any -> new TreeMap<>());
    for (Group group : image.groups()) {
      Epoch before = epochs.put(group.id(), group.epoch());
      if (group.epoch().equals(before)) {
        continue;
      }
      checks++;
      if (!group.equals(records.get(new GroupEpoch(group.id(), group.epoch())))) {
        violation(process + " knows another record of one epoch: " + group);
      }
      if (before != null && before.compareTo(group.epoch()) > 0) {
        violation(process + " goes back from " + before + " to " + group);
      }
    }
  }

  // Disks.

  /** A volume holds a chunk now. */
  void stored(VolumeId volume, Incarnation incarnation, StoredChunk stored) {
    checks++;
    Chunk chunk =
        chunks.computeIfAbsent(
            stored.id(), any -> new Chunk(stored.lengthBytes(), stored.crc32c()));
    if (chunk.lengthBytes != stored.lengthBytes() || chunk.crc32c != stored.crc32c()) {
      violation(stored.id() + " holds other bytes on " + volume + " than elsewhere");
    }
    chunk.copies.add(new Copy(volume, incarnation));
  }

  /** A volume is about to take a chunk, as durably as its bucket wants. */
  void appending(GroupId id, Durability durability) {
    checks++;
    Group group = groups.get(id);
    if (group != null
        && group.family().durability() == Durability.SYNCED
        && durability != Durability.SYNCED) {
      violation("a chunk of " + group + " is not synced");
    }
  }

  /** A volume is about to drop chunks (rules G1, G5, R7). */
  void deleting(VolumeId volume, Incarnation incarnation, Collection<ChunkId> ids) {
    List<ChunkId> all = List.copyOf(ids);
    List<ChunkState> states = states(all);
    for (int i = 0; i < all.size(); i++) {
      checks++;
      ChunkId id = all.get(i);
      if (!keep(states.get(i))) {
        collected.add(id);
        continue;
      }
      MemoryVolume.Disk disk = disks.get(volume);
      Optional<StoredChunk> held = disk == null ? Optional.empty() : disk.find(id);
      Group group = held.map(chunk -> groups.get(chunk.group())).orElse(null);
      if (group == null) {
        continue;
      }
      boolean inSync =
          group.in(MemberState.IN_SYNC).stream()
              .anyMatch(member ->
                  member.volume().equals(volume) && member.incarnation().equals(incarnation));
      if (inSync) {
        violation(volume + ", in sync in " + group + ", deletes " + id + ", " + states.get(i));
      } else if (isNamed(group.id(), id) && holders(group, id, volume) == 0) {
        violation(volume + " deletes the last copy of " + id + " of " + group);
      }
    }
  }

  private boolean isNamed(GroupId group, ChunkId id) {
    TreeMap<ChunkId, Extent> all = named.get(group);
    return all != null && all.containsKey(id);
  }

  /** How many members other than one hold a chunk. */
  private int holders(Group group, ChunkId id, VolumeId except) {
    int holders = 0;
    for (Member member : group.members()) {
      MemoryVolume.Disk disk = disks.get(member.volume());
      if (!member.volume().equals(except) && disk != null && disk.find(id).isPresent()) {
        holders++;
      }
    }
    return holders;
  }

  /**
   * Whether a disk may be lost: what it holds and has to be kept is held by another member too, or
   * fewer copies were destroyed than acknowledged it; and no group is left without any disk that it
   * knew (which an operator would have to salvage).
   */
  boolean mayLose(VolumeId volume) {
    for (Group group : groups.values()) {
      if (group.member(volume).isPresent()
          && group.members().stream()
              .noneMatch(member ->
                  !member.volume().equals(volume) && disks.containsKey(member.volume()))) {
        return false;
      }
    }
    MemoryVolume.Disk disk = disks.get(volume);
    if (disk == null) {
      return true;
    }
    List<StoredChunk> all = disk.all();
    List<ChunkState> states = states(all.stream().map(StoredChunk::id).toList());
    for (int i = 0; i < all.size(); i++) {
      Group group = groups.get(all.get(i).group());
      ChunkId id = all.get(i).id();
      if (keep(states.get(i))
          && group != null
          && holders(group, id, volume) == 0
          && !wasNeverAcknowledged(group, id)
          && !isPromised(group.id(), id)) {
        return false;
      }
    }
    return true;
  }

  /** Whether fewer ever had a chunk than have to, for a writer to be told that it is there. */
  private boolean wasNeverAcknowledged(Group group, ChunkId id) {
    Chunk chunk = chunks.get(id);
    return chunk != null
        && chunk.copies.size() < group.family().minInSync()
        && !isNamed(group.id(), id);
  }

  /**
   * Whether a chunk must survive the loss of one copy more, whoever may have another one: it was
   * acknowledged by more than were destroyed since, or are on disks that were turned out.
   */
  private boolean isPromised(GroupId group, ChunkId id) {
    TreeMap<ChunkId, Extent> all = named.get(group);
    Extent extent = all == null ? null : all.get(id);
    Group then = extent == null ? null : records.get(new GroupEpoch(group, extent.epoch()));
    Chunk chunk = chunks.get(id);
    if (then == null || chunk == null) {
      return false;
    }
    long out =
        disks.entrySet().stream()
            .filter(each -> image().volume(each.getKey()).isEmpty())
            .filter(each -> each.getValue().find(id).isPresent())
            .count();
    return chunk.destroyed + out + 1 < Math.min(then.writers().size(), then.family().replicas());
  }

  /** A fault is about to take or to damage a copy. */
  void destroying(ChunkId id) {
    Chunk chunk = chunks.get(id);
    if (chunk != null) {
      chunk.destroyed++;
    }
  }

  /** What a disk holds and may be evicted (rule G6). */
  List<ChunkId> clean(VolumeId volume) {
    MemoryVolume.Disk disk = disks.get(volume);
    List<ChunkId> all =
        disk == null ? List.of() : disk.all().stream().map(StoredChunk::id).toList();
    List<ChunkState> states = states(all);
    var some = new ArrayList<ChunkId>();
    for (int i = 0; i < all.size(); i++) {
      if (states.get(i) == ChunkState.CLEAN) {
        some.add(all.get(i));
      }
    }
    return some;
  }

  /** What members' disks hold that has to be kept, by group. */
  Map<VolumeId, Map<GroupId, Long>> pinned() {
    var pinned = new TreeMap<VolumeId, Map<GroupId, Long>>();
    disks.forEach((volume, disk) -> {
      var groupsOf = new TreeMap<GroupId, Long>();
      List<StoredChunk> all = disk.all();
      List<ChunkState> states = states(all.stream().map(StoredChunk::id).toList());
      for (int i = 0; i < all.size(); i++) {
        Group group = groups.get(all.get(i).group());
        if (keep(states.get(i)) && group != null && group.member(volume).isPresent()) {
          groupsOf.merge(group.id(), (long) all.get(i).lengthBytes(), Long::sum);
        }
      }
      pinned.put(volume, groupsOf);
    });
    return pinned;
  }

  /** Of what each volume holds as a member, the bytes that may not be evicted. */
  Map<VolumeId, Long> pinnedBytes() {
    var bytes = new TreeMap<VolumeId, Long>();
    pinned()
        .forEach((volume, groups) ->
            bytes.put(volume, groups.values().stream().mapToLong(Long::longValue).sum()));
    return bytes;
  }

  /** What may rot on a disk: what another member of its group holds a good copy of. */
  List<ChunkId> mayRot(VolumeId volume) {
    MemoryVolume.Disk disk = disks.get(volume);
    var some = new ArrayList<ChunkId>();
    if (disk != null) {
      for (StoredChunk chunk : disk.all()) {
        Group group = groups.get(chunk.group());
        if (group != null && holders(group, chunk.id(), volume) > 0) {
          some.add(chunk.id());
        }
      }
    }
    return some;
  }

  /** Copies on members' disks that have to be kept and are damaged. */
  List<String> damaged() {
    var found = new ArrayList<String>();
    for (Map.Entry<VolumeId, MemoryVolume.Disk> each : disks.entrySet()) {
      for (StoredChunk chunk : each.getValue().corrupt()) {
        Group group = groups.get(chunk.group());
        if (group != null && group.member(each.getKey()).isPresent() && keep(state(chunk.id()))) {
          found.add(each.getKey() + " holds " + chunk + ", damaged");
        }
      }
    }
    return found;
  }

  // Answers.

  @Override
  public void failed(NodeId by, Message request, RuntimeException failure) {
    if (!(failure instanceof ForebayException)) {
      violation(by + " met a bug in " + request.getClass().getSimpleName() + ": " + failure);
    }
  }

  /** Rule R8: nobody who may say "absent" says it of a chunk that is named. */
  @Override
  public void answered(NodeId by, Message request, Message reply) {
    if (request instanceof DataMessage.ChunkRead read
        && reply instanceof DataMessage.ChunkMissing(boolean authoritative)
        && authoritative) {
      checks++;
      if (isNamed(read.group(), read.id()) && keep(state(read.id()))) {
        violation("R8: " + by + " calls " + read.id() + " of " + read.group() + " absent");
      }
    }
  }

  // Everything.

  /** Looks at everything: every member in sync, every named chunk. */
  void audit() {
    for (Group group : groups.values()) {
      for (Member member : group.in(MemberState.IN_SYNC)) {
        checkMember(group, member);
      }
      TreeMap<ChunkId, Extent> all = named.get(group.id());
      if (all == null) {
        continue;
      }
      List<ChunkId> ids = List.copyOf(all.keySet());
      List<ChunkState> states = states(ids);
      for (int i = 0; i < ids.size(); i++) {
        checks++;
        if (!keep(states.get(i))) {
          all.remove(ids.get(i));
        } else if (holders(group, ids.get(i), new VolumeId(0)) == 0) {
          violation("no member of " + group + " holds " + ids.get(i));
        }
      }
    }
    storeJudge.ifPresent(StoreJudge::audit);
  }

  /** What lies on disks and ought to be gone: garbage, and chunks of groups that were left. */
  List<String> leftovers() {
    var found = new ArrayList<String>();
    for (Map.Entry<VolumeId, MemoryVolume.Disk> each : disks.entrySet()) {
      List<StoredChunk> all = each.getValue().all();
      List<ChunkState> states = states(all.stream().map(StoredChunk::id).toList());
      for (int i = 0; i < all.size(); i++) {
        Group group = groups.get(all.get(i).group());
        boolean member = group != null && group.member(each.getKey()).isPresent();
        // Of a body whose client died the handle stays for minutes, and whoever left its group
        // keeps what no member has.
        boolean only =
            group != null
                && keep(states.get(i))
                && holders(group, all.get(i).id(), each.getKey()) == 0;
        if (states.get(i) == ChunkState.GARBAGE || (!member && !only)) {
          found.add(each.getKey() + " holds " + all.get(i) + ", " + states.get(i));
        }
      }
    }
    return found;
  }
}
