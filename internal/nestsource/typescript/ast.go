// Package typescript parses TypeScript source files into syntax trees.
//
// It parses the whole language, because a construct that is skipped incorrectly could hide
// the declarations that follow. It does not check types. What no reader of declarations
// needs, such as conditional and mapped types, becomes a node without details.
package typescript

// Span is a half-open range of bytes in the source of a file.
type Span struct{ Pos, End int }

// Range returns the span itself. It makes every node with a Span a [Node].
func (s Span) Range() Span { return s }

// Node is a part of the syntax tree.
type Node interface{ Range() Span }

// Expr is an expression. Parentheses and non-null assertions (x!) leave no node.
// Binding patterns ([*ObjectPattern], [*ArrayPattern]) are expressions too, because they
// occur in the same places as names.
type Expr interface{ Node }

// Stmt is a statement or a declaration.
type Stmt interface{ Node }

// Type is a type.
type Type interface{ Node }

// Expressions.
type (
	// Ident is a name. It also represents `this`, `super`, and `import.meta`.
	Ident struct {
		Span
		Name string
	}
	// Literal is a string, a float64, a bool, or nil (null).
	Literal struct {
		Span
		Value any
	}
	// Template is a template literal; len(Cooked) is len(Exprs)+1. Raw keeps backslashes.
	Template struct {
		Span
		Tag         Expr // nil without a tag
		Cooked, Raw []string
		Exprs       []Expr
	}
	// Array is an array literal. A hole is nil.
	Array struct {
		Span
		Elements []Expr
	}
	// Object is an object literal.
	Object struct {
		Span
		Properties []*Property
	}
	// Property is a member of an object literal. For a [Spread], Value is its operand.
	Property struct {
		Span
		Kind  PropertyKind
		Key   Name
		Value Expr
	}
	// Function is a function, an arrow function, or a method. A declaration without an
	// implementation has neither Body nor Result.
	Function struct {
		Span
		Name             string
		Params           []*Param
		Return           Type // nil if omitted
		Body             *Block
		Result           Expr // the body of an arrow function without braces
		Arrow            bool
		Async, Generator bool
	}
	// Param is a parameter. Property reports whether it is also a property of the class.
	Param struct {
		Span
		Decorators     []Expr
		Target         Expr
		Type           Type
		Default        Expr
		Optional, Rest bool
		Property       bool
	}
	// Member is x.name, Index is x[index].
	Member struct {
		Span
		Object   Expr
		Name     string
		Optional bool
	}
	// Index is x[index].
	Index struct {
		Span
		Object, Index Expr
		Optional      bool
	}
	// Call is f(args). New is set for new F(args), and Optional for f?.(args).
	Call struct {
		Span
		Callee        Expr
		TypeArgs      []Type
		Args          []Expr
		New, Optional bool
	}
	// Unary is a prefix operator, among them typeof, void, delete, and await, or a
	// postfix ++ or --.
	Unary struct {
		Span
		Op string
		X  Expr
	}
	// Binary is a binary operator, among them assignments and the comma.
	Binary struct {
		Span
		Op   string
		L, R Expr
	}
	// Cond is test ? then : otherwise.
	Cond struct {
		Span
		Test, Then, Else Expr
	}
	// Assert is x as T, x satisfies T, or <T>x. Const is set for `as const`.
	Assert struct {
		Span
		X     Expr
		Type  Type
		Const bool
	}
	// Spread is ...x in an array, an object, or arguments.
	Spread struct {
		Span
		X Expr
	}
	// ObjectPattern is {a, b: c = 1, ...rest} in a declaration.
	ObjectPattern struct {
		Span
		Properties []*Binding
		Rest       Expr
	}
	// ArrayPattern is [a, , b = 1, ...rest] in a declaration. A hole is nil.
	ArrayPattern struct {
		Span
		Elements []*Binding
		Rest     Expr
	}
	// Binding is one element of a pattern. Key is unused in arrays.
	Binding struct {
		Span
		Key     Name
		Target  Expr
		Default Expr
	}
	// Other is an expression without details: a regular expression, a bigint, JSX,
	// import(…), and yield.
	Other struct {
		Span
		// Kind is "regexp", "bigint", "jsx", "import", or "yield".
		Kind string
	}
)

// PropertyKind is the kind of a member of an object literal.
type PropertyKind int

// The kinds of members.
const (
	PropertyValue  PropertyKind = iota // key: value, or the shorthand key
	PropertySpread                     // ...value
	PropertyMethod                     // key() {}
	PropertyGet                        // get key() {}
	PropertySet                        // set key(v) {}
)

// Name is the name of a member: text, or a computed expression.
type Name struct {
	Span
	Text     string
	Computed Expr
}

// Statements.
type (
	// Var is a declaration with const, let, var, or using.
	Var struct {
		Span
		Kind    string
		Declare bool
		Decls   []*VarDecl
	}
	// VarDecl is one variable of a declaration.
	VarDecl struct {
		Span
		Target Expr
		Type   Type
		Init   Expr
	}
	// FuncDecl is a function declaration.
	FuncDecl struct {
		Span
		Func *Function
	}
	// Class is a class declaration or a class expression.
	Class struct {
		Span
		Name              string
		Decorators        []Expr
		Abstract, Declare bool
		TypeParams        []string
		Extends           Expr
		ExtendsArgs       []Type
		Members           []*ClassMember
	}
	// Enum is an enum.
	Enum struct {
		Span
		Name    string
		Members []*EnumMember
	}
	// EnumMember is a member of an enum. Init is nil for an implicit value.
	EnumMember struct {
		Span
		Name Name
		Init Expr
	}
	// Namespace is a namespace. The body of a.b is nested in that of a. Global is set for
	// `declare global` and for `declare module "name"`.
	Namespace struct {
		Span
		Name   string
		Global bool
		Body   []Stmt
	}
	// Interface is an interface.
	Interface struct {
		Span
		Name       string
		TypeParams []string
		Extends    []Type
		Members    []*TypeMember
	}
	// TypeAlias is type Name = Type.
	TypeAlias struct {
		Span
		Name       string
		TypeParams []string
		Type       Type
	}
	// Import is an import. From is "" for `import A = B.C`, which has an Alias.
	Import struct {
		Span
		From      string
		Default   string
		Namespace string
		Names     []ImportName
		Alias     Expr
	}
	// ImportName is one name of an import or an export: Name as As.
	ImportName struct {
		Span
		Name, As string
	}
	// Export is every form of export. `export * from` has Star, and possibly an As;
	// `export = x` has Equals; `export default x` has Default; `export {a as b}` has
	// Names. Otherwise Decl is exported, as default if DefaultDecl is set.
	Export struct {
		Span
		From        string
		Star        bool
		As          string
		Names       []ImportName
		Default     Expr
		Equals      Expr
		Decl        Stmt
		DefaultDecl bool
	}
	// Block is {…}.
	Block struct {
		Span
		Body []Stmt
	}
	// ExprStmt is an expression as a statement.
	ExprStmt struct {
		Span
		X Expr
	}
	// Return is a return statement. X is nil if omitted.
	Return struct {
		Span
		X Expr
	}
	// If is an if statement.
	If struct {
		Span
		Test       Expr
		Then, Else Stmt
	}
	// Loop is for, while, and do. Of and In have Target (a [*Var] or an expression) and
	// Over.
	Loop struct {
		Span
		Kind   LoopKind
		Init   Stmt
		Test   Expr
		Update Expr
		Target Node
		Over   Expr
		Body   Stmt
	}
	// Switch is a switch statement.
	Switch struct {
		Span
		X     Expr
		Cases []*Case
	}
	// Case is one case of a switch. Test is nil for default.
	Case struct {
		Span
		Test Expr
		Body []Stmt
	}
	// Try is a try statement.
	Try struct {
		Span
		Body, Catch, Finally *Block
		Param                Expr
	}
	// Jump is break, continue, or throw. X is what is thrown.
	Jump struct {
		Span
		Kind  string
		Label string
		X     Expr
	}
	// Empty is a statement without effect: an interface of a module, `export as namespace`.
	Empty struct{ Span }
)

// LoopKind is the kind of a loop.
type LoopKind int

// The kinds of loops.
const (
	LoopFor LoopKind = iota
	LoopOf
	LoopIn
	LoopWhile
	LoopDo
)

// ClassMember is a member of a class.
type ClassMember struct {
	Span
	Kind       MemberKind
	Decorators []Expr
	Key        Name
	Static     bool
	Abstract   bool
	Optional   bool
	Type       Type
	Value      Expr      // of a property
	Func       *Function // of a method, an accessor, a constructor
	Body       *Block    // of a static block
}

// MemberKind is the kind of a member of a class.
type MemberKind int

// The kinds of members.
const (
	MemberProperty MemberKind = iota
	MemberMethod
	MemberGet
	MemberSet
	MemberConstructor
	MemberStaticBlock
	MemberIndex
)

// Types.
type (
	// TypeRef is a named type, among them string and any. Name is dotted.
	TypeRef struct {
		Span
		Name string
		Args []Type
	}
	// LiteralType is the type of one value, as in [Literal].
	LiteralType struct {
		Span
		Value any
	}
	// ArrayType is T[].
	ArrayType struct {
		Span
		Elem Type
	}
	// TupleType is [A, B].
	TupleType struct {
		Span
		Elems []Type
	}
	// Union is A | B.
	Union struct {
		Span
		Types []Type
	}
	// Intersection is A & B.
	Intersection struct {
		Span
		Types []Type
	}
	// ObjectType is {a: T}.
	ObjectType struct {
		Span
		Members []*TypeMember
	}
	// TypeMember is a member of an object type. A call or index signature has no Name.
	TypeMember struct {
		Span
		Name     Name
		Optional bool
		Method   bool
		Type     Type // the result of a method
	}
	// FuncType is (a: A) => B.
	FuncType struct {
		Span
		Return Type
	}
	// TypeOf is typeof a.b. Name is dotted.
	TypeOf struct {
		Span
		Name string
	}
	// IndexedType is T[K].
	IndexedType struct {
		Span
		Object, Index Type
	}
	// Operator is keyof T, readonly T, or unique T.
	Operator struct {
		Span
		Op string
		X  Type
	}
	// OtherType is a type without details.
	OtherType struct{ Span }
)

// File is a parsed source file.
type File struct {
	// Name is the name that was given to [Parse].
	Name string
	// Source is its text.
	Source string
	// Body are its statements.
	Body []Stmt
	// Problems are the parts that could not be parsed and are missing in Body.
	Problems []Problem

	lines []int // the offset of each line
}

// Problem is a statement that could not be parsed. Line is that of the error, from 1.
type Problem struct {
	Span
	Line   int
	Reason string
}

// Text returns the source of a node, with white space collapsed.
func (f *File) Text(n Node) string {
	s := n.Range()
	return collapse(f.Source[s.Pos:s.End])
}
