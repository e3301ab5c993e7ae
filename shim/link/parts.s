# What a program has when the shim is linked into it, beside the code: entries in the lists of
# constructors, ia2-loader, and where all that lies (ia2_boot::linked::Parts). The range symbols are
# set by object.ld.
#
# Both lists are used. glibc runs .preinit_array before the constructors of libraries, and musl does not
# run it at all. Of .init_array the first priority there is; a second call does nothing.

        .section .preinit_array, "aw", @preinit_array
        .balign 8
        .quad   start

        .section .init_array.00000, "aw", @init_array
        .balign 8
        .quad   start

        .section .text.ia2start, "ax", @progbits
        .balign 16
start:
        lea     parts(%rip), %rdi
        jmp     ia2_linked

        .section .data.rel.ro.ia2parts, "aw", @progbits
        .balign 8
parts:
        .quad   ia2_text, ia2_text_end
        .quad   ia2_constants, ia2_constants_end
        .quad   loader, loader_end

        .section .rodata.ia2loader, "a", @progbits
        .balign 16
loader:
        .incbin "ia2-loader"
loader_end:

        .section .note.GNU-stack, "", @progbits
