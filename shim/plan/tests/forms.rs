//! Which form a site gets, and why one gets none, on code made for the question.

mod common;

use common::{
    CALL, CMP, GETPID, MOV_RDI_RAX, MOV_RSI_RDI, NOP, NOP8, Object, RET, RODATA, SYSCALL, TEXT,
    code,
};
use ia2_core::site::{Form, Refusal};
use ia2_plan::plan::Site;

fn form(site: &Site) -> Result<Form, Refusal> {
    site.outcome.map(|patch| patch.form)
}

#[test]
fn a_loaded_number_before_the_syscall_is_form_a() {
    let site = Object::function(&code(&[GETPID, SYSCALL, RET])).site();
    assert_eq!(form(&site), Ok(Form::A));
    assert_eq!((site.addr, site.nr), (TEXT + 5, Some(39)));
    let patch = site.outcome.expect("patched");
    assert_eq!((patch.start, patch.old.as_slice()), (TEXT, GETPID));
    assert_eq!((patch.before(), patch.after()), (GETPID, &[][..]));
}

#[test]
fn a_branch_to_the_syscall_leaves_form_a_as_the_last_resort() {
    // jmp over the mov to the syscall
    let object = Object::function(&code(&[b"\xeb\x05", GETPID, SYSCALL, RET]));
    assert_eq!(form(&object.site()), Ok(Form::A));
    assert_eq!(object.site().nr, Some(39));
    // The branch would trap every time, so a form that catches it is better.
    let object = Object::function(&code(&[b"\xeb\x05", GETPID, SYSCALL, CMP, NOP, RET]));
    assert_eq!((form(&object.site()), object.site().nr), (Ok(Form::B), None));
}

#[test]
fn a_nop_before_a_syscall_that_is_branched_to_becomes_the_island() {
    // jmp over the nop to the syscall, in a function where a jump may go anywhere
    let nop = b"\x0f\x1f\x44\x00\x00";
    let text = code(&[b"\xeb\x05", nop, SYSCALL, b"\xff\xe1"]);
    let site = Object::function(&text).site();
    let patch = site.outcome.unwrap();
    assert_eq!((patch.form, patch.start), (Form::D, site.addr));
    assert_eq!(patch.island.map(|island| island.addr), Some(site.addr - 5));
}

#[test]
fn a_branch_into_the_middle_of_the_instruction_before_prevents_form_a() {
    // jne into the immediate
    let text = code(&[b"\x75\x01", GETPID, SYSCALL, CMP, NOP, RET]);
    assert_eq!(form(&Object::function(&text).site()), Ok(Form::B));
}

#[test]
fn a_number_loaded_earlier_is_known_if_nothing_writes_rax_between() {
    let lea = b"\x48\x8d\x3d\x00\x00\x00\x00"; // lea 0(%rip),%rdi
    let site = Object::function(&code(&[GETPID, lea, SYSCALL, RET])).site();
    assert_eq!((form(&site), site.nr), (Ok(Form::A), Some(39)));
    let mov_eax = b"\x44\x89\xc0"; // mov %r8d,%eax
    let site = Object::function(&code(&[GETPID, mov_eax, lea, SYSCALL, RET])).site();
    assert_eq!((form(&site), site.nr), (Ok(Form::A), None));
    let xor = b"\x31\xc0";
    let site = Object::function(&code(&[xor, lea, SYSCALL, RET])).site();
    assert_eq!(site.nr, Some(0));
}

#[test]
fn a_number_is_not_known_if_a_branch_comes_in_behind_its_load() {
    let lea = b"\x48\x8d\x3d\x00\x00\x00\x00";
    // jne to the lea; mov; lea; syscall
    let site = Object::function(&code(&[b"\x75\x05", GETPID, lea, SYSCALL, RET])).site();
    assert_eq!((form(&site), site.nr), (Ok(Form::A), None));
}

#[test]
fn a_call_between_loses_the_number() {
    let lea = b"\x48\x8d\x3d\x00\x00\x00\x00";
    let site = Object::function(&code(&[GETPID, CALL, lea, SYSCALL, RET])).site();
    assert_eq!(site.nr, None);
}

#[test]
fn what_follows_moves_if_nothing_before_can() {
    let text = code(&[CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, RET]);
    let mut object = Object::function(&text);
    let patch = object.site().outcome.expect("patched");
    assert_eq!((patch.form, patch.after()), (Form::B, CMP));
    assert_eq!(patch.old.as_slice(), code(&[SYSCALL, CMP]));
    // A landing pad between forbids it; then what precedes moves.
    object.pads = vec![CALL.len() + 3 + 2];
    let patch = object.site().outcome.expect("patched");
    assert_eq!((patch.form, patch.before()), (Form::C, MOV_RDI_RAX));
    assert_eq!(patch.old.as_slice(), code(&[MOV_RDI_RAX, SYSCALL]));
    assert_eq!(patch.start, TEXT + 5);
}

#[test]
fn the_end_of_a_function_does_not_move() {
    // Behind the moved cmp there must be something of the function to return to.
    let text = code(&[CALL, MOV_RDI_RAX, SYSCALL, CMP]);
    assert_eq!(form(&Object::function(&text).site()), Ok(Form::C));
}

#[test]
fn several_instructions_before_move_if_the_syscall_is_a_branch_target() {
    // mov; mov; syscall; jne back to the syscall; ret: the syscall itself must stay.
    let text = code(&[CALL, MOV_RSI_RDI, MOV_RDI_RAX, SYSCALL, b"\x75\xfc", RET]);
    let patch = Object::function(&text).site().outcome.expect("patched");
    assert_eq!(patch.form, Form::C);
    assert_eq!(patch.old.as_slice(), code(&[MOV_RSI_RDI, MOV_RDI_RAX]));
}

#[test]
fn a_branch_between_the_instructions_before_prevents_form_c() {
    // jne to the second mov, which is all that could move
    let text = code(&[b"\x75\x05", CALL, b"\x89\xf8", SYSCALL, RET]);
    assert_eq!(form(&Object::function(&text).site()), Err(Refusal::Immovable));
    let text = code(&[b"\x75\x06", CALL, NOP, MOV_RDI_RAX, SYSCALL, b"\x75\xfc", RET]);
    assert_eq!(form(&Object::function(&text).site()), Err(Refusal::BranchTarget));
}

#[test]
fn a_jump_from_a_cold_half_counts_also_without_symbol() {
    // The first function jumps to the second, which jumps back behind the syscall.
    let far = vec![0xcc; 300];
    let je = [&[0x0f, 0x84][..], &(1 + far.len() as u32).to_le_bytes()].concat();
    let first = code(&[CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, &je, RET]);
    let target = 5 + 3 + 2;
    let from = first.len() + far.len();
    let distance = target - (from as i32 + 5);
    let jump = [&[0xe9u8][..], &distance.to_le_bytes()].concat();
    let text = code(&[&first, &far, &jump]);
    let mut object = Object::function(&text);
    object.functions = vec![(0..first.len(), false), (from..text.len(), false)];
    assert_eq!(form(&object.site()), Ok(Form::C));
    // The same with a short jump from next door.
    let distance = target - (first.len() as i32 + 2);
    let text = code(&[&first, &[0xeb, distance as u8]]);
    object.text = text.clone();
    object.functions = vec![(0..first.len(), false), (first.len()..text.len(), false)];
    assert_eq!(form(&object.site()), Ok(Form::C));
}

#[test]
fn a_symbol_inside_counts_as_a_target() {
    let mut object = Object::function(&code(&[CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, RET]));
    assert_eq!(form(&object.site()), Ok(Form::B));
    object.symbols = vec![(5 + 3 + 2, 0)];
    assert_eq!(form(&object.site()), Ok(Form::C));
}

/// `lea table(%rip),%rdx; movslq (%rdx,%rcx,4),%rcx; add %rdx,%rcx; notrack jmp *%rcx`
fn switch() -> Vec<u8> {
    let distance = (RODATA - (TEXT + 7)) as u32;
    code(&[
        b"\x48\x8d\x15",
        &distance.to_le_bytes(),
        b"\x48\x63\x0c\x8a",
        b"\x48\x01\xd1",
        b"\x3e\xff\xe1",
    ])
}

#[test]
fn a_switch_whose_table_misses_the_moved_instructions_does_no_harm() {
    let dispatch = switch();
    let text = code(&[&dispatch, CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, RET]);
    let call = dispatch.len() as u64;
    let entry = |offset: u64| ((TEXT + offset) as i32 - RODATA as i32).to_le_bytes();
    let mut object = Object::function(&text);
    object.rodata = code(&[&entry(call), &entry(call + 5)]);
    // What follows the table is zero: an entry that leads to the table itself, which is no text.
    assert_eq!(form(&object.site()), Ok(Form::B));
    object.rodata = code(&[&entry(call), &entry(call + 5 + 3 + 2)]);
    assert_eq!(form(&object.site()), Ok(Form::C));
}

#[test]
fn a_jump_that_could_go_anywhere_forbids_moving_several_instructions() {
    let text = code(&[b"\xff\xe1", CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, RET]);
    assert_eq!(form(&Object::function(&text).site()), Err(Refusal::IndirectJump));
    // Through the linker's pointer it leaves the object.
    let text = code(&[b"\xff\x25\0\0\0\0", CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, RET]);
    assert_eq!(form(&Object::function(&text).site()), Ok(Form::B));
    // Form A moves one instruction, which has no inside.
    let text = code(&[b"\xff\xe1", GETPID, SYSCALL, CMP, RET]);
    let site = Object::function(&text).site();
    assert_eq!((form(&site), site.nr), (Ok(Form::A), Some(39)));
}

#[test]
fn padding_between_functions_is_an_island() {
    let first = code(&[CALL, MOV_RDI_RAX, SYSCALL, RET]);
    let text = code(&[&first, NOP8, RET]);
    let mut object = Object::function(&text);
    object.functions = vec![(0..first.len(), false), (first.len() + 8..text.len(), false)];
    let patch = object.site().outcome.expect("patched");
    assert_eq!((patch.form, patch.old.as_slice()), (Form::D, SYSCALL));
    let island = patch.island.expect("form D has one");
    assert_eq!(island.addr, TEXT + first.len() as u64);
    assert_eq!(island.old, NOP8[..5]);
    // A symbol in the padding makes it somebody's.
    object.symbols = vec![(0, 10), (first.len() + 1, 0)];
    assert_eq!(form(&object.site()), Ok(Form::C));
}

#[test]
fn code_without_unwind_entry_is_no_island() {
    let first = code(&[CALL, MOV_RDI_RAX, SYSCALL, RET]);
    let text = code(&[&first, NOP8, RET, RET]);
    let mut object = Object::function(&text);
    // The gap holds a `ret` behind the padding: somebody may come here.
    object.functions = vec![(0..first.len(), false), (first.len() + 9..text.len(), false)];
    assert_eq!(form(&object.site()), Ok(Form::C));
}

#[test]
fn padding_behind_a_jump_is_an_island_if_nothing_reaches_it() {
    let jump_over = b"\xeb\x08";
    let text = code(&[CALL, MOV_RDI_RAX, SYSCALL, jump_over, NOP8, RET]);
    let patch = Object::function(&text).site().outcome.expect("patched");
    assert_eq!(patch.form, Form::D);
    assert_eq!(patch.island.expect("an island").addr, TEXT + 12);
    // A branch into it
    let text = code(&[b"\x75\x0c", CALL, MOV_RDI_RAX, SYSCALL, jump_over, NOP8, RET]);
    assert_eq!(form(&Object::function(&text).site()), Ok(Form::C));
}

#[test]
fn two_sites_do_not_share_an_island() {
    let first = code(&[CALL, MOV_RDI_RAX, SYSCALL, CALL, MOV_RDI_RAX, SYSCALL, RET]);
    let text = code(&[&first, NOP8, b"\x66\x90", RET]);
    let mut object = Object::function(&text);
    object.functions = vec![(0..first.len(), false), (first.len() + 10..text.len(), false)];
    let plan = object.plan();
    let islands: Vec<u64> =
        plan.sites.iter().filter_map(|site| Some(site.outcome.ok()?.island?.addr)).collect();
    let behind = TEXT + first.len() as u64;
    assert_eq!(islands, [behind, behind + 5]);
}

#[test]
fn an_island_out_of_reach_is_none() {
    // The padding begins 130 bytes behind the short jump.
    let far = vec![0x90u8; 128];
    let first = code(&[CALL, MOV_RDI_RAX, SYSCALL, &far, b"\x90\x90", RET]);
    let text = code(&[&first, NOP8, RET]);
    let mut object = Object::function(&text);
    object.functions = vec![(0..first.len(), false), (first.len() + 8..text.len(), false)];
    assert_ne!(form(&object.site()), Ok(Form::D));
}

#[test]
fn patches_of_neighbouring_sites_do_not_overlap() {
    // The second site's mov could move with the first syscall, but it is needed for form A.
    let text = code(&[CALL, SYSCALL, GETPID, SYSCALL, RET]);
    let plan = Object::function(&text).plan();
    assert_eq!(plan.sites.len(), 2);
    assert_eq!(form(&plan.sites[1]), Ok(Form::A));
    assert_eq!(form(&plan.sites[0]), Err(Refusal::Immovable));
}

#[test]
fn bytes_in_an_operand_are_hidden() {
    let mov = b"\xb8\x0f\x05\x00\x00"; // mov $0x50f,%eax
    let plan = Object::function(&code(&[mov, RET])).plan();
    assert_eq!((plan.candidates, plan.sites.len()), (1, 0));
    assert_eq!(plan.hidden, [TEXT + 1]);
}

#[test]
fn a_prefixed_syscall_stays() {
    let text = code(&[GETPID, b"\x48", SYSCALL, RET]);
    assert_eq!(form(&Object::function(&text).site()), Err(Refusal::Immovable));
}

#[test]
fn a_restorer_needs_a_signal_frame() {
    let restorer = code(&[NOP, b"\x48\xc7\xc0\x0f\0\0\0", SYSCALL]);
    let mut object = Object::function(&restorer);
    assert_eq!(form(&object.site()), Err(Refusal::Restorer));
    object.functions[0].1 = true;
    assert_eq!((form(&object.site()), object.site().nr), (Ok(Form::A), Some(15)));
    object.functions.clear();
    assert_eq!(form(&object.site()), Err(Refusal::Restorer));
}

#[test]
fn without_any_bounds_nothing_is_done() {
    let mut object = Object::function(&code(&[GETPID, SYSCALL, RET]));
    object.functions.clear();
    assert_eq!(form(&object.site()), Err(Refusal::NoFunction));
    object.symbols = vec![(0, 0)];
    assert_eq!(form(&object.site()), Ok(Form::A));
}

#[test]
fn a_function_that_does_not_decode_is_left_alone() {
    let text = code(&[b"\x06", GETPID, SYSCALL, RET]);
    assert_eq!(form(&Object::function(&text).site()), Err(Refusal::Undecodable));
    // Nor is a site whose patch depends on what comes after it.
    let text = code(&[CALL, SYSCALL, CMP, NOP, b"\x06", RET]);
    assert_eq!(form(&Object::function(&text).site()), Err(Refusal::Undecodable));
}

#[test]
fn form_a_does_not_depend_on_what_comes_after_the_site() {
    let text = code(&[GETPID, SYSCALL, b"\x06", RET]);
    assert_eq!(form(&Object::function(&text).site()), Ok(Form::A));
}

#[test]
fn code_between_two_unwind_entries_continues_the_first() {
    // glibc's clone: unwinding is switched off around the syscall.
    let text = code(&[GETPID, SYSCALL, CMP, RET, RET]);
    let mut object = Object::function(&text);
    object.functions = vec![(0..5, false), (13..text.len(), false)];
    assert_eq!(form(&object.site()), Ok(Form::A));
}

#[test]
fn the_function_table_of_a_go_program_tells_bounds() {
    // Eight functions of 16 bytes: `mov $39,%eax; syscall; ret` and padding.
    let function = code(&[GETPID, SYSCALL, RET, &[0xcc; 8]]);
    let mut object = Object::function(&function.repeat(8));
    object.functions.clear();
    let mut table = vec![0u8; 128];
    table[..8].copy_from_slice(b"\xf1\xff\xff\xff\0\0\x01\x08");
    table[8] = 8; // functions
    table[24..32].copy_from_slice(&TEXT.to_le_bytes());
    table[64] = 72; // where the pairs begin
    table.truncate(72);
    for index in 0..9u32 {
        table.extend((16 * index).to_le_bytes());
        table.extend([0; 4]);
    }
    object.rodata = table;
    let plan = object.plan();
    assert_eq!(plan.sites.len(), 8);
    for site in &plan.sites {
        assert_eq!((form(site), site.nr), (Ok(Form::A), Some(39)));
    }
    // A table whose last function ends outside text is none.
    object.rodata[72 + 8 * 8 + 3] = 1;
    assert!(object.plan().sites.iter().all(|site| form(site) == Err(Refusal::NoFunction)));
}

#[test]
fn an_indirect_jump_behind_an_epilogue_is_a_tail_call() {
    // pop %rbp; jmp *%rax
    let text = code(&[CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, b"\x5d\xff\xe0"]);
    assert_eq!(form(&Object::function(&text).site()), Ok(Form::B));
    // The same jump with a frame in place may go anywhere.
    let text = code(&[CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, b"\xff\xe0"]);
    assert_eq!(form(&Object::function(&text).site()), Err(Refusal::IndirectJump));
}
